import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { copyFile, mkdir, mkdtemp, open, readdir, rename, rm, statfs, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SysbackupError, messageOf } from '../errors.js';
import { hasWriters } from './native.js';

const FOLDER_PREFIX = 'snapshot-';
const POLL_MS = 50;

/** Bytes free for this user on the file system that the spool folder is on; the folder is made if missing. */
export async function freeBytes(spoolFolder: string): Promise<number> {
  try {
    await mkdir(spoolFolder, { recursive: true, mode: 0o700 });
    const fileSystem = await statfs(spoolFolder);
    return fileSystem.bavail * fileSystem.bsize;
  } catch (error) {
    throw unusable(spoolFolder, error);
  }
}

/**
 * Removes what runs that were killed left in the spool folder. Only for the holder of the run lock: another run's
 * spools go too.
 */
export async function removeLeftSpools(spoolFolder: string): Promise<void> {
  const names = await readdir(spoolFolder).catch(() => []);
  for (const name of names) {
    if (name.startsWith(FOLDER_PREFIX)) await rm(join(spoolFolder, name), { recursive: true, force: true });
  }
}

/** The file that one snapshotter writes to, in a folder of its own. */
export class Spool {
  readonly path: string;
  readonly #folder: string;
  readonly #file: FileHandle;
  /** Whether the file system tells who has a file open for writing. */
  readonly #tellsWriters: boolean;
  #open = true;

  private constructor(folder: string, path: string, file: FileHandle, tellsWriters: boolean) {
    this.#folder = folder;
    this.path = path;
    this.#file = file;
    this.#tellsWriters = tellsWriters;
  }

  /**
   * Mode 0666 in a folder of mode 0700: a child that has changed its user may still open `/dev/fd/3` anew, for
   * that asks for the file's mode only, and nobody else gets through the folder. Throws SYSTEM.
   */
  static async create(spoolFolder: string): Promise<Spool> {
    try {
      await mkdir(spoolFolder, { recursive: true, mode: 0o700 });
      const folder = await mkdtemp(join(spoolFolder, FOLDER_PREFIX));
      const path = join(folder, 'data');
      const empty = await open(path, 'wx', 0o600);
      await empty.chmod(0o666);
      await empty.close();
      const tellsWriters = (await isOpenForWriting(path)) === false;
      return new Spool(folder, path, await open(path, 'r+'), tellsWriters);
    } catch (error) {
      throw unusable(spoolFolder, error);
    }
  }

  /** Open for reading and writing, and no more: a program may rely on seeking, on appending, on neither. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /**
   * Ends the writing: afterwards nothing changes the file at `path`. Waits `waitMs` at most for processes that the
   * snapshotter left behind to close it; from those that do not, the bytes so far are copied away. Where the file
   * system cannot tell who writes (FUSE, some NFS), what is there now counts.
   *
   * @returns its length, and whether someone still held it
   */
  async settle(waitMs: number, signal?: AbortSignal): Promise<{ size: number; held: boolean }> {
    await this.#close();
    const until = performance.now() + waitMs;
    let held = this.#tellsWriters && (await isOpenForWriting(this.path)) === true;
    while (held && performance.now() < until) {
      if (signal?.aborted) break;
      await delay(POLL_MS);
      held = (await isOpenForWriting(this.path)) === true;
    }
    if (held) return { size: await this.#detach(), held };
    return { size: await sizeOf(this.path), held };
  }

  /** Removes file and folder. May be called again. */
  async dispose(): Promise<void> {
    await this.#close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #detach(): Promise<number> {
    const copy = join(this.#folder, 'copy');
    const size = await sizeOf(this.path);
    await copyFile(this.path, copy, constants.COPYFILE_FICLONE);
    // It may have grown while it was copied.
    await truncate(copy, size);
    await rename(copy, this.path);
    return size;
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

async function isOpenForWriting(path: string): Promise<boolean | undefined> {
  const file = await open(path, 'r');
  try {
    return hasWriters(file.fd);
  } finally {
    await file.close();
  }
}

function unusable(spoolFolder: string, error: unknown): SysbackupError {
  return new SysbackupError('SYSTEM', `cannot use the spool folder ${spoolFolder}: ${messageOf(error)}`, {
    hint: 'the state directory must be writable; set it by [state] path',
    cause: error,
  });
}
