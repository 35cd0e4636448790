import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { abortedError, errnoOf, SysbackupError } from '../errors.js';

/** Where the password comes from. */
export type PasswordSource =
  /** ccrypt reads it from the terminal, twice when it encrypts. It asks through `show`, raw text for that terminal. */
  | { kind: 'terminal'; show: (text: string) => void }
  /** The file's first line. */
  | { kind: 'file'; path: string }
  /** A variable of the environment given. */
  | { kind: 'environment'; name: string };

export interface CcryptOptions {
  password: PasswordSource;
  env: Readonly<Record<string, string>>;
  signal?: AbortSignal | undefined;
}

/** What ccrypt(1) says of a key that does not match, and of what is not its own. */
const WRONG_KEY = 4;

/** Throws SYSTEM where there is no ccrypt. */
export async function requireCcrypt(env: Readonly<Record<string, string>>): Promise<void> {
  const password: PasswordSource = { kind: 'terminal', show: () => undefined };
  await run(['--version'], Buffer.alloc(0), { env, password }, false);
}

export async function encrypt(text: string, options: CcryptOptions): Promise<Buffer> {
  return await run(['--encrypt'], Buffer.from(text), options, true);
}

/** Throws CONFIG, naming the file, where the password is wrong or the file is no encrypted one. */
export async function decrypt(bytes: Uint8Array, file: string, options: CcryptOptions): Promise<string> {
  try {
    return (await run(['--decrypt'], bytes, options, true)).toString('utf8');
  } catch (error) {
    if (!(error instanceof CcryptFailure) || error.status !== WRONG_KEY) throw error;
    const format = error.message.includes('bad file format');
    throw new SysbackupError(
      'CONFIG',
      format ? `${file} is no file that ccrypt encrypted` : `the password does not open ${file}`,
      { hint: format ? 'Copy it again, as it is.' : 'Try again: nothing was changed.', cause: error },
    );
  }
}

class CcryptFailure extends SysbackupError {
  readonly status: number | null;

  constructor(status: number | null, message: string, hint?: string) {
    super('SYSTEM', message, hint === undefined ? {} : { hint });
    this.status = status;
  }
}

async function run(
  args: readonly string[],
  input: Uint8Array,
  { password, env, signal }: CcryptOptions,
  needsPassword: boolean,
): Promise<Buffer> {
  const source = needsPassword ? passwordArguments(password) : [];
  const child = spawn('ccrypt', [...args, ...source], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  const out: Buffer[] = [];
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    const text = chunk.toString();
    if (password.kind === 'terminal' && /key:/.test(text)) password.show(text);
    else said.push(chunk);
  });
  // It may end without reading all: its exit code says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  let status: number | null;
  try {
    [status] = (await once(child, 'close')) as [number | null];
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT')
      throw new SysbackupError('SYSTEM', 'there is no program ccrypt on this machine', {
        hint: 'Install it (the Debian package is called ccrypt), or do without an encrypted file of credentials.',
        cause,
      });
    if (signal?.aborted) throw abortedError(cause);
    throw cause;
  }
  if (status === 0) return Buffer.concat(out);
  const message = Buffer.concat(said).toString().trim().split('\n').at(-1) ?? '';
  if (/\/dev\/tty/.test(message))
    throw new SysbackupError('USAGE', 'there is no terminal to ask for the password on', {
      hint: 'Give it with --password-file, or as S3_SYSBACKUP_PASSWORD in the environment.',
    });
  throw new CcryptFailure(status, message === '' ? `ccrypt failed with exit code ${status}` : message);
}

function passwordArguments(password: PasswordSource): string[] {
  switch (password.kind) {
    case 'terminal':
      return [];
    case 'file':
      return ['--keyfile', password.path];
    case 'environment':
      return ['--envvar', password.name];
  }
}
