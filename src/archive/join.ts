import type { EntryBlock } from '../catalog/entry-blocks.js';
import type { KnownEntries } from '../catalog/known-entries.js';
import { messageOf, SysbackupError } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import type { Bits } from './bits.js';
import { type EntrySink, type PendingEntry, readyEntry } from './entry-output.js';
import { keptEntry } from './kept-entry.js';
import type { PathBatch } from './path-page.js';
import { PickCursor } from './pick-cursor.js';

/**
 * Why an entry is made: the last catalog has no such path; it has, but the file was changed; or all is as it was, but
 * something that the entry names is gone or not locked long enough.
 */
export type WhyMade = 'new' | 'changed' | 'again';

/** What the join asks of the run. */
export interface JoinHandlers {
  /**
   * An entry whose file is as it was, with this content. True: all its objects are there and locked long enough;
   * a promise: they will be, or not (false).
   */
  keep(block: EntryBlock, index: number): boolean | Promise<boolean>;
  /** A path of which an entry has to be made, with its packed stat. */
  make(path: BytePath, stats: Buffer, statAt: number, why: WhyMade): PendingEntry;
  /** The last catalog turned out damaged: what stood there is new. */
  damaged(error: unknown): void;
}

/** What was picked. */
export interface JoinInput {
  /** The last catalog's entries; undefined where there are none. */
  known: Pick<KnownEntries, 'blocks' | 'range' | 'take' | 'open' | 'damage'> | undefined;
  /** The numbers of those that were picked and are as they were. */
  confirmed: Pick<Bits, 'has'>;
  /** All other picked paths, in order. Confirmed ones may be among them. */
  others: Iterable<PathBatch>;
}

/** Entries in a block of the manifest, where the last catalog does not give the borders. */
const BLOCK_ENTRIES = 512;
/** Fewer are not worth a block of their own. */
const SMALL_BLOCK = 128;
/** Entries between two pauses. */
const PAUSE_EVERY = 4096;

/**
 * Joins what was picked with the last catalog, both in path order, and sends every entry to the output. Blocks of the
 * last manifest in which nothing changed are carried over whole.
 */
export class Join {
  readonly #output: EntrySink;
  readonly #handlers: JoinHandlers;
  readonly #now: () => Promise<void>;
  #items: PendingEntry[] = [];
  /** The number of each item in the last catalog; undefined where it has none. */
  #numbers: (number | undefined)[] = [];
  #taken = 0;

  #block: EntryBlock | undefined;
  /** The lines of the block are there. */
  #isOpen = false;
  #at = 0;
  /** All of the block up to `at` was kept, and none of it is among the items yet. */
  #clean = true;
  #conditions: { index: number; kept: Promise<boolean> }[] = [];

  /** @param now and then awaited: to stop, to report progress, to keep locks up */
  constructor(output: EntrySink, handlers: JoinHandlers, now: () => Promise<void>) {
    this.#output = output;
    this.#handlers = handlers;
    this.#now = now;
  }

  async run({ known, confirmed, others }: JoinInput): Promise<void> {
    const cursor = new PickCursor(others);
    for (let number = 0; number < (known?.blocks ?? 0); number++) {
      const block = known?.take(number);
      if (known === undefined) break;
      if (block === undefined) {
        // What stood there has been taken as other paths, unless it was read once and now cannot be any more.
        const { first, end } = known.range(number);
        for (let entry = first; entry < end; entry++)
          if (confirmed.has(entry)) throw lostCatalog(known.damage);
        continue;
      }
      this.#begin(number, block, known);
      await this.#takeBlock(block, confirmed, cursor);
      this.#endBlock(block);
    }
    if (known?.damage !== undefined) this.#handlers.damaged(known.damage);
    this.#block = undefined;
    for (; cursor.path !== undefined; cursor.next()) {
      this.#takeNew(cursor);
      if (this.#items.length >= BLOCK_ENTRIES) this.#seal();
      await this.#pause();
    }
    this.#seal();
  }

  async #takeBlock(block: EntryBlock, confirmed: JoinInput['confirmed'], cursor: PickCursor): Promise<void> {
    const lastPath = block.path(block.count - 1);
    while (this.#at < block.count) {
      const known = confirmed.has(block.first + this.#at);
      // Where no other path comes before the block's end, its own are not needed.
      const path = cursor.path !== undefined && cursor.path <= lastPath ? block.path(this.#at) : undefined;
      if (path !== undefined && isBefore(cursor, path)) await this.#takeNewBefore(path, cursor);
      if (path !== undefined && cursor.path === path) {
        if (block.isSame(this.#at, cursor.words, cursor.statAt >> 2)) this.#takeSame(block);
        else this.#takeChanged(cursor, block);
        cursor.next();
      } else if (known) this.#takeSame(block);
      else this.#drop();
      // The awaits are for what waits only: one per entry would be most of an unchanged run's time.
      if (this.#isDue) await this.#pause();
    }
  }

  async #takeNewBefore(path: BytePath, cursor: PickCursor): Promise<void> {
    for (; isBefore(cursor, path); cursor.next()) {
      this.#takeNew(cursor);
      if (this.#items.length >= BLOCK_ENTRIES * 2) this.#seal();
      await this.#pause();
    }
  }

  get #isDue(): boolean {
    return ++this.#taken >= PAUSE_EVERY || !this.#output.hasRoom;
  }

  async #pause(): Promise<void> {
    if (this.#taken >= PAUSE_EVERY) {
      this.#taken = 0;
      await this.#now();
    }
    if (!this.#output.hasRoom) await this.#output.room();
  }

  #begin(number: number, block: EntryBlock, known: NonNullable<JoinInput['known']>): void {
    this.#block = block;
    this.#at = 0;
    this.#clean = true;
    try {
      known.open(number, block);
      this.#isOpen = true;
    } catch (error) {
      known.damage ??= error;
      this.#isOpen = false;
    }
  }

  /** A path that the last catalog does not have. */
  #takeNew(cursor: PickCursor): void {
    if (this.#at > 0) this.#dirty();
    this.#make(cursor, undefined);
    this.#taken++;
  }

  #takeChanged(cursor: PickCursor, block: EntryBlock): void {
    this.#dirty();
    this.#make(cursor, block.first + this.#at);
    this.#at++;
  }

  #make({ path, stats, statAt }: PickCursor, number: number | undefined): void {
    const why = number === undefined ? 'new' : 'changed';
    if (path !== undefined) this.#push(this.#handlers.make(path, stats, statAt, why), number);
  }

  #push(entry: PendingEntry, number: number | undefined): void {
    this.#items.push(entry);
    this.#numbers.push(number);
  }

  /** The block's next entry, whose file is as it was. */
  #takeSame(block: EntryBlock): void {
    const index = this.#at;
    const kept = this.#isOpen && this.#handlers.keep(block, index);
    if (kept === false) {
      this.#dirty();
      const anew = this.#handlers.make(block.path(index), block.bytes, block.statOffset(index), 'again');
      this.#push(anew, block.first + index);
    } else {
      if (block.isOlder(index)) this.#dirty();
      if (kept !== true) this.#conditions.push({ index, kept });
      if (!this.#clean) this.#push(this.#entryAfter(block, index, kept), block.first + index);
    }
    this.#at++;
  }

  /** The block's next entry is of a path that was not picked. */
  #drop(): void {
    this.#dirty();
    this.#at++;
  }

  /** From here on the block's entries go one by one; those passed already go first. */
  #dirty(): void {
    const block = this.#block;
    if (!this.#clean || block === undefined) return;
    this.#clean = false;
    const conditions = new Map(this.#conditions.map(({ index, kept }) => [index, kept]));
    for (let index = 0; index < this.#at; index++) {
      const entry = this.#entryAfter(block, index, conditions.get(index) ?? true);
      this.#push(entry, block.first + index);
    }
    this.#conditions = [];
  }

  #entryAfter(block: EntryBlock, index: number, kept: true | Promise<boolean>): PendingEntry {
    if (kept === true) return keptEntry(block, index);
    return kept.then((isKept) =>
      isKept
        ? keptEntry(block, index)
        : readyEntry(this.#handlers.make(block.path(index), block.bytes, block.statOffset(index), 'again')),
    );
  }

  #endBlock(block: EntryBlock): void {
    if (this.#clean && this.#items.length > 0 && this.#items.length < SMALL_BLOCK) this.#dirty();
    const carried = this.#clean;
    if (carried || this.#items.length >= SMALL_BLOCK) this.#seal();
    if (carried) {
      const entryAt = (index: number, kept: boolean) =>
        this.#entryAfter(block, index, kept ? true : Promise.resolve(false));
      this.#output.carry({ block, conditions: this.#conditions, entryAt });
    }
    this.#conditions = [];
  }

  #seal(): void {
    if (this.#items.length > 0) this.#output.add(this.#items, this.#numbers);
    this.#items = [];
    this.#numbers = [];
  }
}

function isBefore(cursor: PickCursor, path: BytePath): boolean {
  return cursor.path !== undefined && cursor.path < path;
}

function lostCatalog(cause: unknown): SysbackupError {
  return new SysbackupError('SYSTEM', `the catalog was changed while it was read: ${messageOf(cause)}`, {
    hint: 'Run archive again. If this comes again, look after the disk that holds the state directory.',
    cause,
  });
}
