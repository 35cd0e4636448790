import { type EntryBlock, MANY_OBJECTS, ONE_OBJECT, SETTLED } from '../catalog/entry-blocks.js';
import type { BytePath } from '../files/byte-path.js';
import { PACKED_STAT_SIZE } from '../files/stat.js';
import type { EntrySink, OutputEntry, PendingEntry } from './entry-output.js';
import type { PathBatch } from './picked-paths.js';

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

/**
 * Joins the picked paths with the last catalog, both in path order, and sends every entry to the output. Blocks of
 * the last manifest in which nothing changed are carried over whole.
 */
export class Join {
  readonly #output: EntrySink;
  readonly #handlers: JoinHandlers;
  readonly #blocks: AsyncGenerator<EntryBlock> | undefined;
  #items: PendingEntry[] = [];

  #block: EntryBlock | undefined;
  #paths: BytePath[] = [];
  #at = 0;
  /** All of the block up to `at` was kept, and none of it is among the items yet. */
  #clean = true;
  #conditions: { index: number; kept: Promise<boolean> }[] = [];

  constructor(output: EntrySink, blocks: AsyncGenerator<EntryBlock> | undefined, handlers: JoinHandlers) {
    this.#output = output;
    this.#blocks = blocks;
    this.#handlers = handlers;
  }

  /** @param beforeBatch called now and then: to stop, to report progress, to keep locks up */
  async run(batches: Iterable<PathBatch>, beforeBatch: () => Promise<void>): Promise<void> {
    await this.#nextBlock();
    try {
      for (const batch of batches) {
        await beforeBatch();
        for (let index = 0; index < batch.paths.length; index++) {
          const path = batch.paths[index] as BytePath;
          // The awaits are for the borders of blocks only: one per entry would be most of an unchanged run's time.
          while (
            this.#block !== undefined &&
            (this.#at >= this.#block.count || (this.#paths[this.#at] as BytePath) < path)
          ) {
            if (this.#at < this.#block.count) this.#drop();
            else await this.#nextBlock();
          }
          this.#take(path, batch.stats, batch.statAt[index] ?? 0);
          if (this.#items.length >= BLOCK_ENTRIES * 2) this.#seal();
          if (!this.#output.hasRoom) await this.#output.room();
        }
      }
      this.#endBlock();
      this.#seal();
    } finally {
      await this.#blocks?.return(undefined);
    }
  }

  #take(path: BytePath, stats: Buffer, statAt: number): void {
    const block = this.#block;
    if (block === undefined || this.#paths[this.#at] !== path) {
      if (this.#at > 0) this.#dirty();
      this.#items.push(this.#handlers.make(path, stats, statAt));
      if (block === undefined && this.#items.length >= BLOCK_ENTRIES) this.#seal();
      return;
    }
    const index = this.#at;
    const kept = this.#isSame(block, index, stats, statAt) && this.#handlers.keep(block, index);
    if (kept === false) {
      this.#dirty();
      this.#items.push(this.#handlers.make(path, stats, statAt));
    } else {
      if (kept !== true) this.#conditions.push({ index, kept });
      if (!this.#clean) this.#items.push(this.#entryAfter(block, index, path, kept));
    }
    this.#at++;
  }

  #isSame(block: EntryBlock, index: number, stats: Buffer, statAt: number): boolean {
    if ((block.flags(index) & SETTLED) === 0) return false;
    const at = block.statOffset(index);
    return block.bytes.compare(stats, statAt, statAt + PACKED_STAT_SIZE, at, at + PACKED_STAT_SIZE) === 0;
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
    return kept.then((isKept) => (isKept ? entry : this.#handlers.make(path, entry.stat, entry.statAt)));
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

  async #nextBlock(): Promise<void> {
    this.#endBlock();
    this.#block = undefined;
    this.#paths = [];
    this.#at = 0;
    this.#clean = true;
    try {
      const next = await this.#blocks?.next();
      if (next === undefined || next.done === true) return;
      this.#block = next.value;
      this.#paths = next.value.paths();
    } catch (error) {
      this.#handlers.damaged(error);
    }
  }

  #seal(): void {
    if (this.#items.length > 0) this.#output.add(this.#items);
    this.#items = [];
  }
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
