import { MANY_OBJECTS, ONE_OBJECT, SETTLED } from '../catalog/entry-blocks.js';
import { ReadFailure } from '../content/read-failure.js';
import type { FileReading, ReadHandlers } from '../content/types.js';
import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import {
  type Description,
  describe,
  describeLink,
  type KnownNames,
  type Unreadable,
} from '../files/entry.js';
import { FileStat, lstat } from '../files/stat.js';
import { formatLine } from '../manifest/lines.js';
import { pathFields } from '../manifest/paths.js';
import type { DataRef, FileWarning, ManifestEntry } from '../manifest/types.js';
import type { Budget } from '../store/concurrency.js';
import type { ContentRows, FileBlocks } from './content-rows.js';
import type { OutputEntry, PendingEntry } from './entry-output.js';

/** The reading side of content/pool.ts. */
export interface ContentReader {
  /** @param expected the file as it was picked: another one in its place is refused */
  read(path: BytePath, handlers: ReadHandlers, expected?: FileStat): Promise<FileReading>;
}

export interface EntryMakerOptions {
  names: KnownNames & { resolve(uids: Iterable<number>, gids: Iterable<number>): Promise<void> };
  reader: ContentReader;
  /** Stores a block; resolves when the store has confirmed it. */
  content: ContentRows;
  /** Bounds the content in memory, in bytes. */
  budget: Budget;
  blockSize: number;
  /** Sends what is being collected to be stored together. */
  flush: () => void;
  report: (problem: Problem) => void;
  /** A file's content is dealt with. */
  onRead: (bytes: number) => void;
  /** When the run began to look at files, nanoseconds by the machine's clock. */
  startedNs: bigint;
}

/** What reading a file gave, the same for all paths of one inode. */
interface Content {
  reading: FileReading;
  dat: DataRef;
  flags: number;
  single: { sha: Uint8Array; tag: number } | undefined;
}

export const EMPTY_SHA = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** What a small file under way costs beside its bytes. */
const FILE_OVERHEAD = 128 * 1024;

/**
 * A file written within the granularity of its clock after being read can have the time it had before. The kernel
 * stamps with the time of its last tick (4 or 10 ms); file systems that keep whole seconds (or two: FAT) are told by
 * times without a fraction.
 */
const TICK_NS = 20_000_000n;
const COARSE_NS = 2_000_000_000n;

/** Makes the entries of new and changed paths: describes them and has their content stored. */
export class EntryMaker {
  readonly #options: EntryMakerOptions;
  #reading = 0;
  #draining = false;
  /** Files with several links whose reading is under way or done, until all their links have come by. */
  readonly #linked = new Map<string, { content: Promise<Content | undefined>; left: number }>();

  constructor(options: EntryMakerOptions) {
    this.#options = options;
  }

  make(path: BytePath, stats: Buffer, statAt: number): PendingEntry {
    const stat = new FileStat(stats, statAt);
    switch (stat.kind) {
      case 'directory':
        return this.#described(path, stat, describe, (metadata) => ({
          typ: 'd',
          ...pathFields(path),
          ...metadata,
        }));
      case 'symlink':
        return this.#described(path, stat, describeLink, (metadata) => ({
          typ: 'l',
          ...pathFields(path),
          ...metadata,
          ...(stat.links > 1 ? { id: stat.inodeId } : {}),
        }));
      default:
        if (stat.size === 0 && stat.links === 1) return this.#emptyFile(path, stat);
        return this.#file(path, stat);
    }
  }

  #emptyFile(path: BytePath, stat: FileStat): PendingEntry {
    return this.#described(path, stat, describe, (metadata) => ({
      typ: 'f',
      ...pathFields(path),
      ...metadata,
      dat: null,
      sha: EMPTY_SHA,
      size: 0,
    }));
  }

  async #file(path: BytePath, stat: FileStat): Promise<OutputEntry | undefined> {
    const content = await (stat.links > 1 ? this.#contentOfInode(path, stat) : this.#content(path, stat));
    if (content === undefined) return undefined;
    const { reading } = content;
    const warnings: FileWarning[] = [
      ...(reading.unlocked ? (['unlocked-copy'] as const) : []),
      ...(reading.changed ? (['changed-while-reading'] as const) : []),
    ];
    const flags =
      content.flags | (reading.changed || this.#isFresh(reading.stat, reading.startedNs) ? 0 : SETTLED);
    return await this.#described(
      path,
      reading.stat,
      describe,
      (metadata) => ({
        typ: 'f',
        ...pathFields(path),
        ...metadata,
        dat: content.dat,
        sha: Buffer.from(reading.sha).toString('hex'),
        size: reading.size,
        ...(reading.stat.links > 1 ? { id: reading.stat.inodeId } : {}),
        ...(warnings.length > 0 ? { w: warnings } : {}),
      }),
      { flags, single: content.single, size: reading.size },
    );
  }

  #contentOfInode(path: BytePath, stat: FileStat): Promise<Content | undefined> {
    const id = stat.inodeId;
    const known = this.#linked.get(id);
    if (known !== undefined) {
      if (--known.left <= 0) this.#linked.delete(id);
      return known.content;
    }
    const content = this.#content(path, stat);
    this.#linked.set(id, { content, left: stat.links - 1 });
    return content;
  }

  /** Reads and stores; undefined where the file cannot be read, which is then reported. */
  async #content(path: BytePath, stat: FileStat): Promise<Content | undefined> {
    const { budget, blockSize, content, onRead } = this.#options;
    const blocks = content.collect();
    this.#reading++;
    const weight = Math.min(stat.size, 2 * blockSize) + FILE_OVERHEAD;
    let reading: FileReading | undefined;
    try {
      if (!budget.tryTake(weight)) await budget.take(weight);
      try {
        reading = await this.#read(path, stat, blocks);
      } finally {
        budget.giveBack(weight);
      }
    } finally {
      this.#reading--;
      this.#flushIfIdle();
    }
    if (reading === undefined) return undefined;
    const { dat, single } = await blocks.settle();
    onRead(reading.size);
    const flags = dat === null ? 0 : single === undefined ? MANY_OBJECTS : ONE_OBJECT;
    return { reading, dat, flags, single };
  }

  /** @param again whether this is the second try, after another file was found in the picked one's place */
  async #read(
    path: BytePath,
    expected: FileStat,
    blocks: FileBlocks,
    again = false,
  ): Promise<FileReading | undefined> {
    try {
      return await this.#options.reader.read(path, blocks, expected);
    } catch (error) {
      // Programs replace their files by renaming a new one into place: that one is the file now.
      if (error instanceof ReadFailure && error.code === 'REPLACED' && !again) {
        const now = lstat(path);
        if (typeof now !== 'string') return await this.#read(path, now, blocks, true);
      }
      const problem = readProblem(path, error);
      if (problem === undefined) throw error;
      this.#options.report(problem);
      return undefined;
    }
  }

  /**
   * While nothing new is asked for (the output is full, or all has been asked for), contents that wait in a bundle for
   * more are sent as soon as no reading can add to it.
   */
  drain(on: boolean): void {
    this.#draining = on;
    this.#flushIfIdle();
  }

  #flushIfIdle(): void {
    if (this.#draining && this.#reading === 0) this.#options.flush();
  }

  /** The entry at once where the owners' names are known, which after a few files they are. */
  #described<Metadata>(
    path: BytePath,
    stat: FileStat,
    describeIt: (path: BytePath, stat: FileStat, names: KnownNames) => Description<Metadata>,
    entry: (metadata: Metadata) => ManifestEntry,
    file?: { flags: number; single: Content['single']; size: number },
  ): PendingEntry {
    const description = describeIt(path, stat, this.#options.names);
    if (description.is === 'unresolved') {
      return this.#options.names
        .resolve(description.uids, description.gids)
        .then(() => this.#described(path, stat, describeIt, entry, file));
    }
    if (description.is === 'failed') {
      this.#options.report(vanishedOrUnreadable(path, description.errno));
      return Promise.resolve(undefined);
    }
    if (description.unreadable !== undefined) this.#reportUnreadable(path, description.unreadable);
    const flags = file?.flags ?? (this.#isFresh(stat, this.#options.startedNs) ? 0 : SETTLED);
    return {
      path,
      line: Buffer.from(formatLine(entry(description.metadata))),
      flags: description.unreadable === undefined ? flags : flags & ~SETTLED,
      stat: stat.bytes,
      statAt: stat.offset,
      sha: file?.single?.sha,
      shaAt: 0,
      tag: file?.single?.tag ?? 0,
      ...(file === undefined ? {} : { size: file.size }),
    };
  }

  /** Whether a further change could have left the same times. */
  #isFresh(stat: FileStat, lookedNs: bigint): boolean {
    const { ctimeNs, mtimeNs } = stat;
    const coarse = ctimeNs % 1_000_000_000n === 0n && mtimeNs % 1_000_000_000n === 0n;
    const latest = ctimeNs > mtimeNs ? ctimeNs : mtimeNs;
    return latest >= lookedNs - (coarse ? COARSE_NS : TICK_NS);
  }

  #reportUnreadable(path: BytePath, unreadable: readonly Unreadable[]): void {
    const what = unreadable.map(({ name, errno }) => `${name} (${errno})`).join(', ');
    const message = `${displayPath(path)}: could not read ${what}; the rest of it is backed up`;
    this.#options.report({ severity: 'failure', code: 'attributes-unreadable', message, path });
  }
}

/** What went wrong with the file itself; undefined for errors that are not the file's. */
function readProblem(path: BytePath, error: unknown): Problem | undefined {
  if (!(error instanceof ReadFailure)) return undefined;
  return vanishedOrUnreadable(path, error.code, error.reason);
}

/** A file that went away between picking and reading, or became something else, is noted; the rest are failures. */
function vanishedOrUnreadable(path: BytePath, code: string, reason = code): Problem {
  const shown = displayPath(path);
  if (GONE.has(code))
    return { severity: 'note', code: 'vanished', message: `${shown}: was removed during the run`, path };
  return { severity: 'failure', code: 'unreadable', message: `${shown}: cannot be read (${reason})`, path };
}

const GONE = new Set(['ENOENT', 'ENOTDIR', 'NOT_REGULAR', 'ELOOP']);
