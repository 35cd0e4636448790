import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, SysbackupError } from '../errors.js';
import { type PasswordSource, requireCcrypt } from './ccrypt.js';

const HINT = 'Give it with --password-file, or as S3_SYSBACKUP_PASSWORD in the environment.';

/**
 * What encrypting or decrypting would fail for, before a user is made for its sake. Throws USAGE; SYSTEM where there
 * is no ccrypt.
 *
 * @param saves whether the file is to be written
 */
export async function checkEncrypted(
  { path, password }: { path: string; password: PasswordSource },
  saves: boolean,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await requireCcrypt(env);
  await checkPassword(password, env);
  if (!saves) return;
  if (await exists(path))
    throw new SysbackupError('USAGE', `there is a file ${path} already`, {
      hint: 'Name another: the key in that one would be lost.',
    });
  const folder = dirname(path);
  await access(folder, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw new SysbackupError('USAGE', `${path} cannot be written: ${messageOf(cause)}`, { cause });
  });
}

async function checkPassword(password: PasswordSource, env: Readonly<Record<string, string>>): Promise<void> {
  switch (password.kind) {
    case 'terminal': {
      const terminal = await open('/dev/tty', 'r').catch((cause: unknown) => {
        throw new SysbackupError('USAGE', 'there is no terminal to ask for the password on', {
          hint: HINT,
          cause,
        });
      });
      await terminal.close();
      return;
    }
    case 'file': {
      const text = await readFile(password.path, 'utf8').catch((cause: unknown) => {
        throw new SysbackupError('USAGE', `cannot read the password: ${messageOf(cause)}`, { cause });
      });
      if (/^\r?(?:\n|$)/.test(text))
        throw new SysbackupError('USAGE', `the first line of ${password.path} is empty, and no password`);
      return;
    }
    case 'environment':
      if (!env[password.name])
        throw new SysbackupError('USAGE', `${password.name} is empty, and no password`, { hint: HINT });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
