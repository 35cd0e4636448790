import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmod,
  fchmodSync,
  linkSync,
  open as openCallback,
  openSync,
  renameSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../errors.js';
import { verifiedChunks } from './body.js';
import { TEMPORARY_FOLDER, type Slot } from './directory-layout.js';
import { sizeOf } from './directory-size.js';
import { formatSidecar, type Sidecar } from './directory-sidecar.js';
import type { ObjectBody } from './port.js';
import type { SyncRounds } from './sync-rounds.js';

const openFile = promisify(openCallback);
const changeMode = promisify(fchmod);
const writeOf = promisify(write);
/** What link(2) says where the file system has no hard links. */
export const NO_HARD_LINKS: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
]);

/** A file in the store's temporary folder. */
export interface TemporaryFile {
  path: string;
  /** Open until it is on the disk. */
  descriptor: number;
  /** It has its place and is temporary no more. */
  moved: boolean;
}

type LinkFile = (existing: string, made: string) => Promise<void> | void;

/** Writes files into their places in a directory store, whole or not at all. */
export class DirectoryWriter {
  readonly #root: string;
  readonly #rounds: SyncRounds;
  readonly #isLocal: boolean;
  readonly #link: LinkFile;
  /** No other process has it, so that numbers do for the rest of a temporary name. */
  readonly #own = randomBytes(12).toString('hex');
  #made = 0;

  /**
   * @param isLocal whether calls that need no disk are waited for: on a local file system they take microseconds,
   *   handing them to a thread takes longer
   * @param linkFile link(2), for tests of file systems that have none
   */
  constructor(
    root: string,
    rounds: SyncRounds,
    isLocal: boolean,
    linkFile: LinkFile = isLocal ? linkSync : link,
  ) {
    this.#root = root;
    this.#rounds = rounds;
    this.#isLocal = isLocal;
    this.#link = linkFile;
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
    await this.#rounds.sync(files.map((file) => file.descriptor));
  }

  /** Gives a settled sidecar its name where there is none. False where somebody was faster. */
  async claim(file: TemporaryFile, place: string): Promise<boolean> {
    try {
      await this.#link(file.path, place);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      if (!NO_HARD_LINKS.has(errnoOf(error) ?? '')) throw error;
      return this.#claimWithoutLinks(file, place);
    }
  }

  /**
   * An empty file claims the place, and the settled one takes its name. A power cut in here leaves at most the empty
   * one, which claims the place for nobody: its data has no name yet, so that nothing is hidden by it.
   */
  async #claimWithoutLinks(file: TemporaryFile, place: string): Promise<boolean> {
    try {
      await (await open(place, 'wx', 0o644)).close();
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
    await this.move(file, place);
    // Such file systems keep no order among names: this one must be on the disk before that of the data.
    await this.settleNames([place]);
    return true;
  }

  /** Moves a settled file to its place, over what is there. */
  async move(file: TemporaryFile, place: string): Promise<void> {
    if (this.#isLocal) renameSync(file.path, place);
    else await rename(file.path, place);
    file.moved = true;
  }

  /** Makes the names durable that files were given. */
  async settleNames(places: readonly string[]): Promise<void> {
    await this.#rounds.sync([...new Set(places.map((place) => dirname(place)))]);
  }

  /** Closes a temporary file and removes what is left of it. */
  async discard(file: TemporaryFile | undefined): Promise<void> {
    if (file === undefined) return;
    closeSync(file.descriptor);
    if (!file.moved) await this.#removeIfThere(file.path);
  }

  async #removeIfThere(path: string): Promise<void> {
    try {
      if (this.#isLocal) unlinkSync(path);
      else await unlink(path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async #temporary(
    mode: number,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<TemporaryFile> {
    const path = join(this.#root, TEMPORARY_FOLDER, `${this.#own}-${this.#made++}.tmp`);
    const descriptor = this.#isLocal ? openSync(path, 'wx', 0o600) : await openFile(path, 'wx', 0o600);
    const file: TemporaryFile = { path, descriptor, moved: false };
    try {
      for await (const chunk of chunks) await writeAll(descriptor, chunk);
      if (this.#isLocal) fchmodSync(descriptor, mode);
      else await changeMode(descriptor, mode);
      return file;
    } catch (error) {
      await this.discard(file);
      throw error;
    }
  }
}

/** Small pieces go to the page cache in microseconds, so that handing them to a thread would take longer. */
const SMALL = 256 * 1024;

async function writeAll(descriptor: number, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const left = chunk.length - done;
    if (left <= SMALL) done += writeSync(descriptor, chunk, done, left);
    else done += (await writeOf(descriptor, chunk, done, left)).bytesWritten;
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
