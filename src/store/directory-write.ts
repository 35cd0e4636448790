import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../errors.js';
import { verifiedChunks } from './body.js';
import { TEMPORARY_FOLDER, type Slot } from './directory-layout.js';
import { sizeOf } from './directory-listing.js';
import { formatSidecar, type Sidecar } from './directory-sidecar.js';
import type { ObjectBody } from './port.js';
import type { SyncRounds } from './sync-rounds.js';

const NO_HARD_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** A file in the store's temporary folder, open until it is on the disk. */
export interface TemporaryFile {
  path: string;
  handle: FileHandle;
  /** It has its place and is temporary no more. */
  moved: boolean;
}

/** Writes files into their places in a directory store, whole or not at all. */
export class DirectoryWriter {
  readonly #root: string;
  readonly #rounds: SyncRounds;

  constructor(root: string, rounds: SyncRounds) {
    this.#root = root;
    this.#rounds = rounds;
  }

  /** The data in a temporary file, read-only for everybody. Throws `DAMAGED` where it does not match its MD5. */
  data(key: string, body: ObjectBody): Promise<TemporaryFile> {
    return this.#temporary(0o444, verifiedChunks(key, body));
  }

  sidecar(sidecar: Sidecar): Promise<TemporaryFile> {
    return this.#temporary(0o644, [formatSidecar(sidecar)]);
  }

  /** Makes what was written durable. */
  async settle(files: readonly TemporaryFile[]): Promise<void> {
    await this.#rounds.sync(files.map((file) => file.handle));
  }

  /** Puts a sidecar where there is none. False where somebody was faster. */
  async claim(file: TemporaryFile, sidecar: Sidecar, place: string): Promise<boolean> {
    try {
      await link(file.path, place);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      if (!NO_HARD_LINKS.has(errnoOf(error) ?? '')) throw error;
      return this.#claimWithoutLinks(sidecar, place);
    }
  }

  /** A crash in here leaves a sidecar that cannot be read: it claims the place for nobody, which harms nobody. */
  async #claimWithoutLinks(sidecar: Sidecar, place: string): Promise<boolean> {
    let handle: FileHandle;
    try {
      handle = await open(place, 'wx', 0o644);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
    try {
      await handle.writeFile(formatSidecar(sidecar));
      await this.#rounds.sync([handle]);
    } finally {
      await handle.close();
    }
    return true;
  }

  /** Moves a settled file to its place, over what is there. */
  async move(file: TemporaryFile, place: string): Promise<void> {
    await rename(file.path, place);
    file.moved = true;
  }

  /** Makes the names durable that files were given. */
  async settleNames(places: readonly string[]): Promise<void> {
    await this.#rounds.sync([...new Set(places.map((place) => dirname(place)))]);
  }

  /** Closes a temporary file and removes what is left of it. */
  async discard(file: TemporaryFile | undefined): Promise<void> {
    if (file === undefined) return;
    await file.handle.close();
    if (!file.moved) await removeIfThere(file.path);
  }

  async #temporary(
    mode: number,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<TemporaryFile> {
    const path = join(this.#root, TEMPORARY_FOLDER, `${randomBytes(12).toString('hex')}.tmp`);
    const handle = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of chunks) await writeAll(handle, chunk);
      await handle.chmod(mode);
      return { path, handle, moved: false };
    } catch (error) {
      await handle.close();
      await removeIfThere(path);
      throw error;
    }
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done);
    done += bytesWritten;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Whether a version's data is there and whole: read and hashed, since a damaged copy must not pass for good. */
export async function holdsData(slot: Slot, version: string, size: number): Promise<boolean> {
  return (await sizeOf(slot.data)) === size && (await md5OfFile(slot.data)) === version;
}

export async function md5OfFile(path: string): Promise<string> {
  const md5 = createHash('md5');
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  for await (const chunk of file.createReadStream({ highWaterMark: 1024 * 1024 })) md5.update(chunk);
  return md5.digest('hex');
}
