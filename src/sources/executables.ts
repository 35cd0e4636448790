import type { Dirent, Stats } from 'node:fs';
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SysbackupError, errnoOf, messageOf } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import { displayPath, joinPath, pathForFs, pathFromBytes, pathFromText } from '../files/byte-path.js';
import { RootTrust } from './trust.js';

/** A picker or snapshotter. */
export interface Executable {
  /** Its file name as text; bytes that are no UTF-8 as `\xNN`. */
  name: string;
  path: BytePath;
}

export type SkipReason =
  /** Its name begins with `.`. */
  | 'hidden'
  /** Its name ends in `~`: an editor's copy of an older state. */
  | 'backup-copy'
  | 'folder'
  /** A socket, FIFO or device. */
  | 'not-a-file'
  /** The running user may not execute it. */
  | 'not-executable';

export interface SkippedFile {
  name: string;
  path: BytePath;
  reason: SkipReason;
}

export interface FoundExecutables {
  /** In byte order of their names. */
  executables: Executable[];
  skipped: SkippedFile[];
}

export interface FindExecutablesOptions {
  /** Effective user id that will run them. 0: what others than root can change is refused. */
  uid: number;
}

/**
 * The executables directly in a folder, and symlinks to executables. A missing folder holds none. A link that
 * leads nowhere counts as an executable, so that running it fails aloud: its paths would be missing in silence.
 * Throws CONFIG where the folder cannot be read or, for root, others could change what it runs.
 */
export async function findExecutables(
  folder: string,
  options: FindExecutablesOptions,
): Promise<FoundExecutables> {
  const folderPath = pathFromText(resolve(folder));
  let files: Dirent<Buffer>[];
  try {
    files = await readdir(pathForFs(folderPath), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { executables: [], skipped: [] };
    throw new SysbackupError('CONFIG', `cannot read the folder ${folder}: ${messageOf(error)}`, {
      hint: 'it must be a folder of executables that the running user may read, or be absent',
      cause: error,
    });
  }
  const trust = options.uid === 0 ? new RootTrust() : undefined;
  await trust?.checkFolder(folderPath);
  const found: FoundExecutables = { executables: [], skipped: [] };
  for (const nameBytes of files.map((file) => pathFromBytes(file.name)).sort()) {
    const path = joinPath(folderPath, nameBytes);
    const name = displayPath(nameBytes);
    const reason = await reasonToSkip(nameBytes, path);
    if (reason !== undefined) {
      found.skipped.push({ name, path, reason });
      continue;
    }
    await trust?.checkExecutable(path);
    found.executables.push({ name, path });
  }
  return found;
}

async function reasonToSkip(name: BytePath, path: BytePath): Promise<SkipReason | undefined> {
  if (name.startsWith('.')) return 'hidden';
  if (name.endsWith('~')) return 'backup-copy';
  let file: Stats;
  try {
    file = await stat(pathForFs(path));
  } catch {
    return undefined;
  }
  if (file.isDirectory()) return 'folder';
  if (!file.isFile()) return 'not-a-file';
  try {
    await access(pathForFs(path), constants.X_OK);
    return undefined;
  } catch {
    return 'not-executable';
  }
}
