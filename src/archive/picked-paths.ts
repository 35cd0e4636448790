import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { BytePath } from '../files/byte-path.js';
import { type FileKind, PACKED_STAT_SIZE, PACKED_STAT_WORDS } from '../files/stat.js';
import { type PathBatch, PathPage } from './path-page.js';

/** Paths held before a page is sorted and spilled: about 40 MB with paths of usual length. */
const PAGE_PATHS = 150_000;
const BATCH = 4096;
/** Bytes read of a page at a time; each page that is merged holds so many, and what was left of the last. */
const PIECE = 256 << 10;
/** Of a record in a spilled page: path length u16, then the path, then the packed stat. */
const RECORD_HEAD = 2;

/**
 * Collects paths with their stats in any order and gives them back sorted, each once. Beyond a page's worth they are
 * spilled to the spool folder as sorted pages and merged, so that memory does not grow with their number.
 */
export class PickedPaths {
  readonly #spoolFolder: string;
  readonly #pagePaths: number;
  #page = new PathPage();
  readonly #spilled: string[] = [];

  constructor(spoolFolder: string, pagePaths = PAGE_PATHS) {
    this.#spoolFolder = spoolFolder;
    this.#pagePaths = pagePaths;
  }

  /** The same path may come again; of its stats one counts. `folder` is the path's own, by its real path. */
  add(folder: BytePath, path: BytePath, words: Int32Array, from: number): void {
    this.#page.add(folder, path, words, from);
    if (this.#page.size >= this.#pagePaths) this.#spill();
  }

  /** What kind of file the path is, if it came last of those in its folder; undefined says nothing. */
  kindOfLast(folder: BytePath, path: BytePath): FileKind | undefined {
    return this.#page.kindOfLast(folder, path);
  }

  /** All paths in order. To be called once, at the end. */
  *batches(): Generator<PathBatch> {
    if (this.#spilled.length === 0) {
      yield this.#page.sorted();
      return;
    }
    if (this.#page.size > 0) this.#spill();
    yield* mergePages(this.#spilled);
  }

  /** How many there are; an upper bound where the same path came twice. */
  get count(): number {
    return this.#spilled.length * this.#pagePaths + this.#page.size;
  }

  #spill(): void {
    const file = join(this.#spoolFolder, `paths-${this.#spilled.length}`);
    const fd = openSync(file, 'wx', 0o600);
    try {
      const { paths, stats, statAt } = this.#page.sorted();
      for (let start = 0; start < paths.length; start += BATCH) {
        const bytes = Buffer.concat(
          paths.slice(start, start + BATCH).flatMap((path, index) => {
            const head = Buffer.alloc(RECORD_HEAD);
            head.writeUInt16LE(path.length);
            const at = statAt[start + index] ?? 0;
            return [head, Buffer.from(path, 'latin1'), stats.subarray(at, at + PACKED_STAT_SIZE)];
          }),
        );
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      }
    } finally {
      closeSync(fd);
    }
    this.#spilled.push(file);
    this.#page = new PathPage();
  }
}

function* mergePages(files: readonly string[]): Generator<PathBatch> {
  const pages = files.map((file) => new PageReader(file));
  let live = pages.filter((page) => page.next());
  let paths: BytePath[] = [];
  let words = new Int32Array(BATCH * PACKED_STAT_WORDS);
  let stats = Buffer.from(words.buffer);
  const statAt = Uint32Array.from({ length: BATCH }, (_, index) => index * PACKED_STAT_SIZE);
  let last: BytePath | undefined;
  while (live.length > 0) {
    // Ten pages at the most for millions of paths: looking at each is less than keeping a heap.
    let least = live[0];
    for (const page of live) if (least !== undefined && page.path < least.path) least = page;
    if (least === undefined) break;
    if (least.path !== last) {
      last = least.path;
      least.stat.copy(stats, paths.length * PACKED_STAT_SIZE);
      paths.push(least.path);
      if (paths.length === BATCH) {
        yield { paths, stats, words, statAt };
        paths = [];
        words = new Int32Array(BATCH * PACKED_STAT_WORDS);
        stats = Buffer.from(words.buffer);
      }
    }
    if (!least.next()) live = live.filter((page) => page !== least);
  }
  if (paths.length > 0) yield { paths, stats, words, statAt };
}

class PageReader {
  path = '' as BytePath;
  stat: Buffer = Buffer.alloc(0);
  readonly #file: string;
  readonly #fd: number;
  #buffer = Buffer.alloc(0);
  #at = 0;

  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, 'r');
  }

  /** Goes to the next record; false at the end, where the file is removed. */
  next(): boolean {
    if (!this.#ensure(RECORD_HEAD)) {
      closeSync(this.#fd);
      removeQuietly(this.#file);
      return false;
    }
    const length = this.#buffer.readUInt16LE(this.#at);
    this.#ensure(RECORD_HEAD + length + PACKED_STAT_SIZE);
    const start = this.#at + RECORD_HEAD;
    this.path = this.#buffer.toString('latin1', start, start + length) as BytePath;
    this.stat = this.#buffer.subarray(start + length, start + length + PACKED_STAT_SIZE);
    this.#at = start + length + PACKED_STAT_SIZE;
    return true;
  }

  #ensure(length: number): boolean {
    if (this.#buffer.length - this.#at >= length) return true;
    const bytes = Buffer.allocUnsafeSlow(PIECE);
    const count = readSync(this.#fd, bytes, 0, bytes.length, null);
    this.#buffer = Buffer.concat([this.#buffer.subarray(this.#at), bytes.subarray(0, count)]);
    this.#at = 0;
    return this.#buffer.length >= length;
  }
}

/** For the room: all of the spool folder goes when the run ends. */
function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // The folder's removal says so.
  }
}
