import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { NameService } from '../files/name-service.js';

/** What a plan depends on. */
export interface MachineFacts {
  /** Whose system it is set up for: root's, with a user of its own, or the caller's own folder. */
  scope: 'system' | 'personal';
  /** The `conf` that is there. */
  conf: string | undefined;
  /** The one for `renew`. */
  renewConf: string | undefined;
  /** Whether the user `backup` is there, and the group. */
  hasUser: boolean;
  hasGroup: boolean;
  /** Whether systemd runs here, and takes commands. */
  systemd: boolean;
  /** Of the folders that a plan may write into, and of those above them: the ones that are not there. */
  missingFolders: readonly string[];
}

/** Who owns what a backup of the whole system needs, and runs it. */
export const SERVICE_USER = 'backup';

/**
 * Looks at the machine, and changes nothing. Throws SYSTEM.
 * @param folders what else a plan may write into, absolute
 */
export async function machineFacts(
  confDir: string,
  renewDir: string,
  uid: number,
  folders: readonly string[] = [],
): Promise<MachineFacts> {
  const names = new NameService();
  const [users, groups] = await Promise.all([
    names.find('passwd', [SERVICE_USER]),
    names.find('group', [SERVICE_USER]),
  ]);
  return {
    scope: uid === 0 || !(await mayWrite(confDir)) ? 'system' : 'personal',
    conf: await readIfThere(join(confDir, 'conf')),
    renewConf: await readIfThere(join(renewDir, 'conf')),
    hasUser: users.some(({ name }) => name === SERVICE_USER),
    hasGroup: groups.some(({ name }) => name === SERVICE_USER),
    systemd: await exists('/run/systemd/system'),
    missingFolders: await missingAmong([confDir, ...folders]),
  };
}

async function missingAmong(paths: readonly string[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const path of paths)
    for (let folder = path; !(await exists(folder)) && folder !== dirname(folder); folder = dirname(folder))
      missing.add(folder);
  return [...missing];
}

/** Whether this process could make the path, or write into it. */
async function mayWrite(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK | constants.X_OK);
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || folder === dirname(folder)) return false;
    }
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new SysbackupError('SYSTEM', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
