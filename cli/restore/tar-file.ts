import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { SysbackupError, messageOf } from '../../src/index.js';

type Write = (bytes: Uint8Array) => Promise<void>;

/**
 * A file that `use` writes a tar to. It gets its name when all of it is there, and only this user can read it; what is
 * no regular file (a tape, a FIFO) is written right away. Throws SYSTEM.
 */
export async function withTarFile<T>(path: string, use: (write: Write) => Promise<T>): Promise<T> {
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory() === true)
    throw new SysbackupError('USAGE', `--to-tar ${path} is a folder`, { hint: 'Name a file.' });
  if (existing !== undefined && !existing.isFile()) return await written(path, 'w', use);
  const beside = `${path}.${randomBytes(6).toString('hex')}.part`;
  try {
    const result = await written(beside, 'wx', use);
    await rename(beside, path);
    return result;
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
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
