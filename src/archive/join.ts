import { type EntryBlock, MANY_OBJECTS, ONE_OBJECT, SETTLED } from '../catalog/entry-blocks.js';
import type { BytePath } from '../files/byte-path.js';
import { PACKED_STAT_WORDS } from '../files/stat.js';
import { type EntrySink, type OutputEntry, type PendingEntry, readyEntry } from './entry-output.js';
import type { PathBatch } from './path-page.js';

/** What the join asks of the run. */
export interface JoinHandlers {
  /**
   * An entry whose file is as it was, with this content. True: all its objects are there and locked long enough;
   * a promise: they will be, or not (false).
   */
  keep(block: EntryBlock, index: number): boolean | Promise<boolean>;
  /** A path that is new or changed, with its packed stat. */
  make(path: BytePath, stats: Buffer, statAt: number): PendingEntry;
  /** The last catalog turned out damaged: all from here on is new. */
  damaged(error: unknown): void;
}

/** Entries in a block of the manifest, where the last catalog does not give the borders. */
const BLOCK_ENTRIES = 512;
/** Fewer are not worth a block of their own. */
const SMALL_BLOCK = 128;
/** Entries between two pauses. */
const PAUSE_EVERY = 4096;

/**
 * Joins the picked paths with the last catalog, both in path order, and sends every entry to the output. Blocks of
 * the last manifest in which nothing changed are carried over whole.
 */
export class Join {
  readonly #output: EntrySink;
  readonly #handlers: JoinHandlers;
  readonly #blocks: Generator<EntryBlock> | undefined;
  #items: PendingEntry[] = [];

  #block: EntryBlock | undefined;
  /** Its paths; empty where they have not been needed yet. */
  #paths: BytePath[] = [];
  /** Whether all of it has been compared at once already. */
  #looked = false;
  #at = 0;
  /** All of the block up to `at` was kept, and none of it is among the items yet. */
  #clean = true;
  #conditions: { index: number; kept: Promise<boolean> }[] = [];

  constructor(output: EntrySink, blocks: Generator<EntryBlock> | undefined, handlers: JoinHandlers) {
    this.#output = output;
    this.#blocks = blocks;
    this.#handlers = handlers;
  }

  /** @param now and then awaited: to stop, to report progress, to keep locks up */
  async run(batches: Iterable<PathBatch>, now: () => Promise<void>): Promise<void> {
    this.#nextBlock();
    let taken = 0;
    try {
      for (const batch of batches) {
        for (let index = 0; index < batch.paths.length; ) {
          if (taken >= PAUSE_EVERY) {
            taken = 0;
            await now();
          }
          const whole = this.#takeBlock(batch, index);
          if (whole === 0) this.#takeOne(batch, index);
          index += Math.max(1, whole);
          taken += Math.max(1, whole);
          // The awaits are for what waits only: one per entry would be most of an unchanged run's time.
          if (!this.#output.hasRoom) await this.#output.room();
        }
      }
      this.#endBlock();
      this.#seal();
    } finally {
      this.#blocks?.return(undefined);
    }
  }

  /**
   * Takes a whole block in which nothing has changed, which is most of them: its paths compared as one text. Returns
   * how many entries that were; 0 where they have to be taken one by one.
   */
  #takeBlock(batch: PathBatch, first: number): number {
    if (this.#block !== undefined && this.#at >= this.#block.count) this.#nextBlock();
    const block = this.#block;
    if (block === undefined || this.#at > 0 || this.#looked) return 0;
    this.#looked = true;
    const { count } = block;
    if (batch.paths.length - first < count) return 0;
    if (batch.paths.slice(first, first + count).join('\0') !== block.pathsText()) return 0;
    for (let index = 0; index < count; index++) {
      if (!isSame(block, index, batch.words, (batch.statAt[first + index] ?? 0) >> 2)) return 0;
    }
    this.#paths = batch.paths.slice(first, first + count);
    for (let index = 0; index < count; index++) this.#take(batch, first + index, true);
    return count;
  }

  #takeOne(batch: PathBatch, index: number): void {
    const path = batch.paths[index] as BytePath;
    for (;;) {
      const block = this.#block;
      if (block === undefined) break;
      if (this.#at >= block.count) {
        this.#nextBlock();
        continue;
      }
      if (this.#paths.length === 0) this.#paths = block.paths();
      if ((this.#paths[this.#at] as BytePath) >= path) break;
      this.#drop();
    }
    this.#take(batch, index, false);
    if (this.#items.length >= BLOCK_ENTRIES * 2) this.#seal();
  }

  /** @param same it is known to be in the block, as it was */
  #take(batch: PathBatch, picked: number, same: boolean): void {
    const { stats } = batch;
    const path = batch.paths[picked] as BytePath;
    const statAt = batch.statAt[picked] ?? 0;
    const block = this.#block;
    if (block === undefined || (!same && this.#paths[this.#at] !== path)) {
      if (this.#at > 0) this.#dirty();
      this.#items.push(this.#handlers.make(path, stats, statAt));
      if (block === undefined && this.#items.length >= BLOCK_ENTRIES) this.#seal();
      return;
    }
    const index = this.#at;
    const unchanged = same || isSame(block, index, batch.words, statAt >> 2);
    const kept = unchanged && this.#handlers.keep(block, index);
    if (kept === false) {
      this.#dirty();
      this.#items.push(this.#handlers.make(path, stats, statAt));
    } else {
      if (kept !== true) this.#conditions.push({ index, kept });
      if (!this.#clean) this.#items.push(this.#entryAfter(block, index, path, kept));
    }
    this.#at++;
  }

  /** The catalog has a path that was not picked. */
  #drop(): void {
    this.#dirty();
    this.#at++;
  }

  /** From here on the block's entries go one by one; those passed already go first. */
  #dirty(): void {
    if (!this.#clean || this.#block === undefined) return;
    this.#clean = false;
    const conditions = new Map(this.#conditions.map(({ index, kept }) => [index, kept]));
    for (let index = 0; index < this.#at; index++) {
      const path = this.#paths[index] as BytePath;
      this.#items.push(this.#entryAfter(this.#block, index, path, conditions.get(index) ?? true));
    }
    this.#conditions = [];
  }

  #entryAfter(block: EntryBlock, index: number, path: BytePath, kept: true | Promise<boolean>): PendingEntry {
    const entry = entryOf(block, index, path);
    if (kept === true) return entry;
    return kept.then((isKept) =>
      isKept ? entry : readyEntry(this.#handlers.make(path, entry.stat, entry.statAt)),
    );
  }

  #endBlock(): void {
    const block = this.#block;
    if (block === undefined) return;
    if (this.#at < block.count) this.#dirty();
    else if (this.#clean && this.#items.length > 0 && this.#items.length < SMALL_BLOCK) this.#dirty();
    const carried = this.#clean;
    if (carried || this.#items.length >= SMALL_BLOCK) this.#seal();
    if (carried) {
      const paths = this.#paths;
      const make = (index: number, kept: boolean) =>
        this.#entryAfter(block, index, paths[index] as BytePath, kept ? true : Promise.resolve(false));
      this.#output.carry({ block, conditions: this.#conditions, entryAt: make });
    }
    this.#conditions = [];
  }

  #nextBlock(): void {
    this.#endBlock();
    this.#block = undefined;
    this.#paths = [];
    this.#at = 0;
    this.#clean = true;
    this.#looked = false;
    try {
      const next = this.#blocks?.next();
      if (next === undefined || next.done === true) return;
      this.#block = next.value;
    } catch (error) {
      this.#handlers.damaged(error);
    }
  }

  #seal(): void {
    if (this.#items.length > 0) this.#output.add(this.#items);
    this.#items = [];
  }
}

/** Whether the file is as it was when it was read, by its stat at word `at`. */
function isSame(block: EntryBlock, index: number, words: Int32Array, at: number): boolean {
  if ((block.flags(index) & SETTLED) === 0) return false;
  const then = block.statOffset(index) >> 2;
  for (let word = 0; word < PACKED_STAT_WORDS; word++) {
    if (block.words[then + word] !== words[at + word]) return false;
  }
  return true;
}

/** An entry of the last catalog, as it goes into the next. */
function entryOf(block: EntryBlock, index: number, path: BytePath): OutputEntry {
  const flags = block.flags(index) & (SETTLED | ONE_OBJECT | MANY_OBJECTS);
  const sha = (flags & ONE_OBJECT) === 0 ? undefined : block.bytes;
  return {
    path,
    line: block.line(index),
    flags,
    stat: block.bytes,
    statAt: block.statOffset(index),
    sha,
    shaAt: sha === undefined ? 0 : block.shaOffset(index),
    tag: block.tag(index),
  };
}
