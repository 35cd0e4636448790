import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm, stat } from 'node:fs/promises';
import { SysbackupError, errnoOf, messageOf } from '../../src/index.js';

type Write = (bytes: Uint8Array) => Promise<void>;

/** Throws USAGE where a regular file of this name exists: it may be the tar of another day. */
export function refuseExistingTar(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) throw exists(path);
}

/**
 * A file that `use` writes a tar to. It gets its name when all of it is there, and only this user can read it; what is
 * not a regular file (a tape, a FIFO) is written right away. `replace`: a regular file of that name is replaced.
 * Throws SYSTEM, and USAGE where the file exists and is not to be replaced.
 */
export async function withTarFile<T>(
  path: string,
  replace: boolean,
  use: (write: Write) => Promise<T>,
): Promise<T> {
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory() === true)
    throw new SysbackupError('USAGE', `--to-tar ${path} is a folder`, { hint: 'Name a file.' });
  if (existing !== undefined && !existing.isFile()) return await written(path, 'w', use);
  const beside = `${path}.${randomBytes(6).toString('hex')}.part`;
  try {
    const result = await written(beside, 'wx', use);
    await (replace ? rename(beside, path) : giveName(beside, path));
    return result;
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** A file that was made under this name meanwhile stays; a link, unlike a rename, fails then. */
async function giveName(beside: string, path: string): Promise<void> {
  try {
    await link(beside, path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw exists(path);
    // A file system without hard links. Whether the name is free was looked at before.
    await rename(beside, path);
    return;
  }
  await rm(beside);
}

function exists(path: string): SysbackupError {
  return new SysbackupError('USAGE', `--to-tar ${path}: this file exists`, {
    hint: 'Name another file, or give --force to replace it.',
  });
}

async function written<T>(path: string, flags: string, use: (write: Write) => Promise<T>): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, flags, 0o600);
  } catch (cause) {
    throw new SysbackupError('SYSTEM', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    return await use((bytes) => writeAll(file, bytes));
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}
