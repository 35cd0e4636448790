import { randomBytes } from 'node:crypto';
import { open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../errors.js';

/**
 * The time that the file system gives a new file, in milliseconds since the epoch: over NFS the server's clock.
 * Where the folder does not exist yet, the nearest one above it is asked. `fallback` counts where no file can be made,
 * as on a medium mounted for reading or a disk that fails: whoever only reads must not depend on it.
 */
export async function fileSystemTime(folder: string, fallback: () => number): Promise<number> {
  const path = join(await nearestFolder(folder), `.s3-sysbackup-clock-${randomBytes(8).toString('hex')}.tmp`);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      return Math.floor((await file.stat()).mtimeMs);
    } finally {
      await file.close();
      await unlink(path);
    }
  } catch (error) {
    if (errnoOf(error) !== undefined) return fallback();
    throw error;
  }
}

async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await stat(folder);
      return folder;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || folder === dirname(folder)) throw error;
    }
  }
}
