import { MANY_OBJECTS, ONE_OBJECT } from '../catalog/entry-blocks.js';
import { ReadFailure } from '../content/read-failure.js';
import type { FileReading, ReadHandlers } from '../content/types.js';
import type { Problem } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import { type FileStat, lstat } from '../files/stat.js';
import { LineFault } from '../manifest/line-fault.js';
import type { DataRef } from '../manifest/types.js';
import type { Budget } from '../store/concurrency.js';
import type { ContentRows, FileBlocks, SettledContent } from './content-rows.js';
import { refusedLine, unreadable } from './entry-problems.js';

/** The reading side of content/pool.ts. */
export interface ContentReader {
  /** @param expected the file as it was picked: another one in its place is refused */
  read(path: BytePath, handlers: ReadHandlers, expected?: FileStat): Promise<FileReading>;
}

export interface ContentTakerOptions {
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
}

/** What reading a file gave, the same for all paths of one inode. */
export interface Content {
  reading: FileReading;
  dat: DataRef;
  /** ONE_OBJECT, MANY_OBJECTS of catalog/entry-blocks.ts. */
  flags: number;
  single: { sha: Uint8Array; tag: number } | undefined;
}

/** What a small file under way costs beside its bytes. */
const FILE_OVERHEAD = 128 * 1024;

/** One file on its way. */
interface Taking {
  path: BytePath;
  stat: FileStat;
  blocks: FileBlocks;
  weight: number;
  /** Gets undefined where the file cannot be read, which has been reported then. */
  done: (content: Content | undefined) => void;
  failed: (error: unknown) => void;
}

/** Has files read and their content stored. By callbacks: a file's promises took more time than its bytes. */
export class ContentTaker {
  readonly #options: ContentTakerOptions;
  #reading = 0;
  #draining = false;
  /** Files with several links whose reading is under way or done, until all their links have come by. */
  readonly #linked = new Map<string, { content: Promise<Content | undefined>; left: number }>();

  constructor(options: ContentTakerOptions) {
    this.#options = options;
  }

  /** One of the callbacks is called, once. */
  take(path: BytePath, stat: FileStat, done: Taking['done'], failed: Taking['failed']): void {
    if (stat.links > 1) {
      this.#takeInode(path, stat).then(done).catch(failed);
      return;
    }
    this.#begin(path, stat, done, failed);
  }

  /**
   * While nothing new is asked for (the output is full, or all has been asked for), contents that wait in a bundle for
   * more are sent as soon as no reading can add to it.
   */
  drain(on: boolean): void {
    this.#draining = on;
    this.#flushIfIdle();
  }

  #takeInode(path: BytePath, stat: FileStat): Promise<Content | undefined> {
    const id = stat.inodeId;
    const known = this.#linked.get(id);
    if (known !== undefined) {
      if (--known.left <= 0) this.#linked.delete(id);
      return known.content;
    }
    const content = new Promise<Content | undefined>((resolve, reject) =>
      this.#begin(path, stat, resolve, reject),
    );
    this.#linked.set(id, { content, left: stat.links - 1 });
    return content;
  }

  #begin(path: BytePath, stat: FileStat, done: Taking['done'], failed: Taking['failed']): void {
    const { budget, blockSize, content } = this.#options;
    const weight = Math.min(stat.size, 2 * blockSize) + FILE_OVERHEAD;
    const file: Taking = { path, stat, blocks: content.collect(), weight, done, failed };
    this.#reading++;
    if (budget.tryTake(weight)) this.#read(file, stat, false);
    else budget.whenTaken(weight, () => this.#read(file, stat, false));
  }

  /** @param again whether this is the second try, after another file was found in the picked one's place */
  #read(file: Taking, expected: FileStat, again: boolean): void {
    this.#options.reader.read(file.path, file.blocks, expected).then(
      (reading) => this.#wasRead(file, reading),
      (error: unknown) => this.#wasNotRead(file, error, again),
    );
  }

  #wasRead(file: Taking, reading: FileReading): void {
    try {
      this.#ended(file);
      file.blocks.whenSettled(
        (content) => this.#wasStored(file, reading, content),
        (error) => this.#wasNotStored(file, error),
      );
    } catch (error) {
      file.failed(error);
    }
  }

  #wasStored(file: Taking, reading: FileReading, { dat, single }: SettledContent): void {
    this.#options.onRead(reading.size);
    const flags = dat === null ? 0 : single === undefined ? MANY_OBJECTS : ONE_OBJECT;
    file.done({ reading, dat, flags, single });
  }

  #wasNotStored(file: Taking, error: unknown): void {
    if (!(error instanceof LineFault)) {
      file.failed(error);
      return;
    }
    this.#options.report(refusedLine(file.path, error));
    file.done(undefined);
  }

  #wasNotRead(file: Taking, error: unknown, again: boolean): void {
    const { path } = file;
    try {
      // Programs replace their files by renaming a new one into place: that one is the file now.
      if (error instanceof ReadFailure && error.code === 'REPLACED' && !again) {
        const now = lstat(path);
        if (typeof now !== 'string') {
          this.#read(file, now, true);
          return;
        }
      }
      this.#ended(file);
      if (!(error instanceof ReadFailure)) throw error;
      this.#options.report(unreadable(path, error.code, error.reason));
      file.done(undefined);
    } catch (failure) {
      file.failed(failure);
    }
  }

  #ended({ weight }: Taking): void {
    this.#reading--;
    this.#options.budget.giveBack(weight);
    this.#flushIfIdle();
  }

  #flushIfIdle(): void {
    if (this.#draining && this.#reading === 0) this.#options.flush();
  }
}
