import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { NameService } from '../files/name-service.js';
import { SERVICE_USER } from './machine.js';

const READ = 0o4;
const SEARCH = 0o1;

/**
 * What would keep the service's user from its work, as warnings: a program in a folder that is closed to others (a
 * Node.js in root's home), or a directory to store in that is somebody else's.
 */
export async function serviceWarnings(
  program: readonly string[],
  directory: string | undefined,
  names: NameService,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const path of program.filter((word) => word.startsWith('/'))) {
    const closed = await closedPartOf(path);
    if (closed !== undefined) {
      warnings.push(
        `the user ${SERVICE_USER} cannot start ${path}, as ${closed} is closed to others: install Node.js and ` +
          's3-sysbackup where everybody may read them',
      );
    }
  }
  const found = directory === undefined ? undefined : await stat(directory).catch(() => undefined);
  if (found?.isDirectory() === true) {
    const [user] = await names.find('passwd', [SERVICE_USER]);
    if (user === undefined || user.id !== found.uid)
      warnings.push(
        `${directory} is there already, and not the user ${SERVICE_USER}'s, who must be able to write all of it: ` +
          `chown -R ${SERVICE_USER}: ${directory}`,
      );
  }
  return warnings;
}

/** The first folder on the way that others may not search, or the file where they may not read it. */
async function closedPartOf(path: string): Promise<string | undefined> {
  const folders: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    folders.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const [part, needed] of [
    ...folders.map((folder) => [folder, SEARCH] as const),
    [path, READ] as const,
  ]) {
    const found = await stat(part).catch(() => undefined);
    if (found !== undefined && (found.mode & needed) === 0) return part;
  }
  return undefined;
}
