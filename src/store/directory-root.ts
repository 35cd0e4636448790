import { readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SysbackupError, errnoOf } from '../errors.js';

/** How many links that lead nowhere are followed: as many as the kernel does. */
const MOST_LINKS = 40;

/** Whether there is a directory. Throws `CONFIG` where there is something else. */
export async function isDirectory(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  throw new SysbackupError('CONFIG', `${path} is no directory`, {
    hint: 'Set [directory] path to a directory, or to where one may be made.',
  });
}

/** The path without links, also of what does not exist (yet, or because its disk is not mounted). */
export async function realPathOf(path: string, links = MOST_LINKS): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || path === dirname(path)) throw error;
  }
  const above = await realPathOf(dirname(path), links);
  const here = join(above, basename(path));
  const target = await readlink(here).catch(() => undefined);
  if (target === undefined || links === 0) return here;
  return realPathOf(resolve(above, target), links - 1);
}
