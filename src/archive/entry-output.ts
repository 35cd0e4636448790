import { SysbackupError } from '../errors.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import { BlockRecords, DOUBTFUL, type EntryBlock, type EntryBlockWriter } from '../catalog/entry-blocks.js';
import { Coming } from './coming.js';
import { OwnMemory } from '../own-memory.js';
import type { ManifestSink } from '../manifest/spool.js';
import { EntryNumbers } from './entry-numbers.js';

/** An entry that is ready for manifest and catalog. */
export interface OutputEntry {
  path: BytePath;
  line: Buffer;
  /** SETTLED and the like of catalog/entry-blocks.ts. */
  flags: number;
  stat: Buffer;
  statAt: number;
  /** With ONE_OBJECT: where the object's SHA-256 is. */
  sha: Uint8Array | undefined;
  shaAt: number;
  /** And the tag of the reference to it (`ObjectTable.tag`). */
  tag: number;
  /** Bytes of content, where they are not those of the stat: the file changed while it was read. */
  size?: number;
}

/** An entry, or one to come; undefined where there turns out to be none. */
export type PendingEntry = OutputEntry | ComingEntry | Promise<OutputEntry | undefined>;
export type ComingEntry = Coming<OutputEntry | undefined>;

/** The entry where it is ready, else a promise of it. */
export function readyEntry(entry: PendingEntry): OutputEntry | undefined | Promise<OutputEntry | undefined> {
  return entry instanceof Coming ? entry.whenReady() : entry;
}

/** A block of the last manifest that goes into this one as it is, once every promise has said true. */
export interface CarriedBlock {
  block: EntryBlock;
  /** Each resolves to false where the entry at `index` must be made anew after all. */
  conditions: { index: number; kept: Promise<boolean> }[];
  /** The entry at `index`, from this block or made anew. */
  entryAt(index: number, kept: boolean): PendingEntry;
}

/** Where a join sends entries, in order. */
export interface EntrySink {
  /**
   * Takes a block of entries. Await {@link room} before making many more.
   *
   * @param numbers which number each has in the last catalog; undefined where it has none
   */
  add(entries: readonly PendingEntry[], numbers: readonly (number | undefined)[]): void;
  carry(carried: CarriedBlock): void;
  readonly hasRoom: boolean;
  room(): Promise<void>;
}

/** Entries under way at most: what bounds memory when contents come slower than paths. */
const MAX_PENDING = 2048;
/** Blocks carried over that wait for their turn: 8 MB or so. Comparing is faster than writing what was compared. */
const MAX_CARRYING = 64;
/** Blocks whose members may be in compression or on their way to the file. */
const MAX_BLOCKS_WRITING = 8;
/** Bytes of lines in a block, but for a single longer line: 512 of them could have more than there is memory. */
const MOST_LINE_BYTES = 16 << 20;

/**
 * Writes entries to the manifest's spool and to the new catalog in the order they were added, although some become
 * ready later than those behind them.
 */
export class EntryOutput implements EntrySink {
  readonly #spool: ManifestSink;
  readonly #catalog: EntryBlockWriter;
  readonly #onEntry: (stats: Buffer, statAt: number, size?: number) => void;
  readonly #onWait: (waiting: boolean) => void;
  readonly #onDoubtful: (path: BytePath, line: Buffer) => void;
  readonly #maxPending: number;
  #pending = 0;
  #carrying = 0;
  #room: (() => void) | undefined;
  #last: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  readonly #writing: Promise<void>[] = [];
  #lastPath: BytePath | undefined;
  /** Of the entries written so far. */
  readonly numbers: EntryNumbers;

  /**
   * @param onEntry called for every entry as it is written
   * @param onWait called with true where no more entries are taken, and with false when they are again
   * @param known how many entries the last catalog has
   * @param collected how many contents may wait to be stored together: so many entries more may be under way
   * @param onDoubtful called for every entry that carries warnings, kept or new, as it is written
   */
  constructor(
    spool: ManifestSink,
    catalog: EntryBlockWriter,
    onEntry: (stats: Buffer, statAt: number, size?: number) => void,
    onWait: (waiting: boolean) => void,
    known: number,
    collected: number,
    onDoubtful: (path: BytePath, line: Buffer) => void = () => undefined,
  ) {
    this.numbers = new EntryNumbers(known);
    this.#maxPending = MAX_PENDING + collected;
    this.#onWait = onWait;
    this.#spool = spool;
    this.#catalog = catalog;
    this.#onEntry = onEntry;
    this.#onDoubtful = onDoubtful;
  }

  add(entries: readonly PendingEntry[], numbers: readonly (number | undefined)[]): void {
    for (const entry of entries) if (entry instanceof Promise) entry.catch(() => undefined); // seen in its turn
    this.#queue(entries.length, () => this.#write(entries, numbers));
  }

  carry(carried: CarriedBlock): void {
    for (const { kept } of carried.conditions) kept.catch(() => undefined);
    this.#carrying++;
    this.#queue(carried.conditions.length, async () => {
      this.#carrying--;
      await this.#writeCarried(carried);
    });
  }

  /** Resolves when few enough entries are under way. Throws what a block before failed with. */
  async room(): Promise<void> {
    this.#throwFailure();
    if (this.hasRoom) return;
    // Carried blocks alone are written by themselves; an entry may wait for a bundle, and that for being told.
    const entries = this.#pending > 0;
    if (entries) this.#onWait(true);
    while (!this.hasRoom) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#throwFailure();
    }
    if (entries) this.#onWait(false);
  }

  get hasRoom(): boolean {
    return this.#pending <= this.#maxPending && this.#carrying <= MAX_CARRYING && this.#failure === undefined;
  }

  async finish(): Promise<void> {
    this.#onWait(true);
    await this.#last;
    this.#throwFailure();
    await Promise.all(this.#writing);
  }

  #queue(entries: number, write: () => Promise<void>): void {
    this.#pending += entries;
    this.#last = this.#last
      .then(async () => {
        if (this.#failure === undefined) await write();
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#pending -= entries;
        this.#room?.();
      });
  }

  async #write(entries: readonly PendingEntry[], numbers: readonly (number | undefined)[]): Promise<void> {
    const written: OutputEntry[] = [];
    for (const [index, entry] of entries.entries()) {
      const ready = readyEntry(entry);
      const settled = ready instanceof Promise ? await ready : ready;
      if (settled === undefined) continue;
      written.push(settled);
      this.numbers.add(numbers[index]);
    }
    for (const piece of inPieces(written)) await this.#writePiece(piece);
  }

  async #writePiece(entries: readonly OutputEntry[]): Promise<void> {
    const lines = Buffer.concat(entries.map((entry) => entry.line));
    const records = new BlockRecords();
    let lineEnd = 0;
    for (const { path, line, flags, stat, statAt, sha, shaAt, tag, size } of entries) {
      lineEnd += line.length;
      this.#comesAfter(path);
      this.#lastPath = path;
      this.#onEntry(stat, statAt, size);
      if ((flags & DOUBTFUL) !== 0) this.#onDoubtful(path, line);
      records.add(path, lineEnd, flags, stat, statAt, sha, shaAt, tag);
    }
    const { length } = lines;
    await this.#writeBlock(this.#spool.append(OwnMemory.of(lines)), (member) =>
      this.#catalog.write(records.payload(length, member)),
    );
  }

  async #writeCarried({ block, conditions, entryAt }: CarriedBlock): Promise<void> {
    const lost = new Set<number>();
    for (const { index, kept } of conditions) if (!(await kept)) lost.add(index);
    if (lost.size > 0) {
      const indexes = Array.from({ length: block.count }, (_, index) => index);
      await this.#write(
        indexes.map((index) => entryAt(index, !lost.has(index))),
        indexes.map((index) => block.first + index),
      );
      return;
    }
    this.#comesAfter(block.path(0));
    this.#lastPath = block.path(block.count - 1);
    for (let index = 0; index < block.count; index++) {
      this.#onEntry(block.bytes, block.statOffset(index));
      if ((block.flags(index) & DOUBTFUL) !== 0) this.#onDoubtful(block.path(index), block.line(index));
    }
    this.numbers.addAll(block.first, block.count);
    await this.#writeBlock(this.#spool.carry(block.member, block.linesLength), () =>
      this.#catalog.keep(block),
    );
  }

  /** The catalog's block is written after its member; the next block's member may be compressed meanwhile. */
  async #writeBlock<Answer>(member: Promise<Answer>, write: (member: Answer) => void): Promise<void> {
    const before = this.#writing.at(-1);
    const written = (async () => {
      const done = await member;
      await before;
      write(done);
    })();
    written.catch(() => undefined); // awaited below or in finish()
    this.#writing.push(written);
    if (this.#writing.length > MAX_BLOCKS_WRITING) await this.#writing.shift();
  }

  /** A manifest with a path out of order, or twice, is refused whole by every reader: better none. */
  #comesAfter(path: BytePath): void {
    if (this.#lastPath === undefined || this.#lastPath < path) return;
    const order = `${displayPath(path)} after ${displayPath(this.#lastPath)}`;
    throw new SysbackupError('SYSTEM', `the entries of the manifest came out of order: ${order}`, {
      hint: 'This is a mistake of the program. Without the catalog (the state directory) the next run may be right.',
    });
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** What goes into a block each: all of it, unless the lines are long. */
function inPieces(entries: readonly OutputEntry[]): OutputEntry[][] {
  const pieces: OutputEntry[][] = [];
  let piece: OutputEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry.line.length;
    if (bytes > MOST_LINE_BYTES && piece.length > 0) {
      pieces.push(piece);
      piece = [];
      bytes = entry.line.length;
    }
    piece.push(entry);
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}
