import { closeSync, openSync, readSync } from 'node:fs';
import type { BytePath } from '../files/byte-path.js';
import { OwnMemory } from '../own-memory.js';
import { BLOCK_HEAD_SIZE, ENTRY_FRAME, EntryBlock, pathsAt } from './entry-blocks.js';
import { framePlaces, readFrame } from './frame-places.js';
import { type FramePlace, FramesDamaged } from './frames.js';
import { LEADS_TO, NO_ENTRY } from './print-order.js';

/** Bytes of blocks kept at hand. Pickers print folder by folder, so that few blocks are asked for again and again. */
const KEPT_BYTES = 24 << 20;
/** Paths in their order that may be passed over to find one that came: looking through more costs more than it saves. */
const MOST_SKIPPED = 4096;
/** No path is longer. */
const PATH_MAX = 4096;

interface Place extends FramePlace {
  /** The number of its first entry. */
  first: number;
  count: number;
  /** The path of its first entry, as bytes. */
  firstPath: Buffer;
  /** Where the gzip member with its lines is in the manifest. */
  memberStart: number;
  memberLength: number;
}

/**
 * The entries of the last catalog, numbered in path order, to be found by path. Blocks are read as they are needed. What
 * turns out damaged is as good as not there, and told by {@link damage}.
 */
export class KnownEntries {
  /** Open files; below 0 where one could not be opened. */
  #entries = -1;
  #manifest = -1;
  readonly #places: Place[] = [];
  /** Blocks in the order in which they were used last. */
  readonly #blocks = new Map<number, EntryBlock>();
  #keptBytes = 0;
  readonly #mostKeptBytes: number;
  readonly #damaged = new Set<Place>();
  #last: { number: number; place: Place; block: EntryBlock } | undefined;
  /** The entry found last. */
  #found = 0;
  readonly #order: Uint32Array;
  /** Where the next path is expected in the order. */
  #expected = 0;
  /** The number of the entry that the symlink found last leads to, as far as is known: {@link NO_ENTRY} where it is not. */
  leadsTo = NO_ENTRY;
  /** What was first found not to be as it was written. */
  damage: unknown;
  /** How many entries there are. */
  readonly count: number;

  /**
   * @param manifestPath this machine's copy of the manifest
   * @param order in which paths will mostly be asked for (print-order.ts)
   * @param membersAt where in it the first block's member begins; each other's follows the one before
   */
  constructor(
    entriesPath: string,
    manifestPath: string,
    membersAt: number,
    order: Uint32Array,
    mostKeptBytes = KEPT_BYTES,
  ) {
    this.#order = order;
    this.#mostKeptBytes = mostKeptBytes;
    let count = 0;
    let memberStart = membersAt;
    try {
      this.#entries = openSync(entriesPath, 'r');
      this.#manifest = openSync(manifestPath, 'r');
      for (const frame of framePlaces(this.#entries)) {
        if (frame.type !== ENTRY_FRAME) throw new FramesDamaged('a frame that holds no entries');
        const place = this.#placeOf(frame, count, memberStart);
        this.#places.push(place);
        count += place.count;
        memberStart += place.memberLength;
      }
      const last = this.#places.at(-1);
      if (last !== undefined) last.isLast = true;
    } catch (error) {
      this.damage = error;
    }
    this.count = count;
  }

  /** How many blocks there are. */
  get blocks(): number {
    return this.#places.length;
  }

  /** The numbers of a block's entries, from `first` on and before `end`. */
  range(number: number): { first: number; end: number } {
    const { first = this.count, count = 0 } = this.#places[number] ?? {};
    return { first, end: first + count };
  }

  /** The block, which is not kept here any more; undefined where it is damaged. */
  take(number: number): EntryBlock | undefined {
    const block = this.#use(number)?.block;
    if (block === undefined || !this.#blocks.delete(number)) return undefined;
    this.#keptBytes -= block.bytes.length;
    this.#last = undefined;
    return block;
  }

  /** Reads the lines of a block that was taken. Throws {@link FramesDamaged}. */
  open(number: number, block: EntryBlock): void {
    const { memberStart = 0, memberLength = 0 } = this.#places[number] ?? {};
    const member = Buffer.allocUnsafeSlow(memberLength);
    const got = readSync(this.#manifest, member, 0, memberLength, memberStart);
    block.open(OwnMemory.ofOnlyView(member.subarray(0, got)));
  }

  /** The number of the entry with the path that lies in `bytes`, or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const word = this.#order[this.#expected] ?? NO_ENTRY;
    const number = word & ~LEADS_TO;
    const used = this.#useOf(number);
    if (used?.block.hasPath(number - used.place.first, bytes, start, end) !== true) {
      return this.#expect(this.#search(bytes, start, end));
    }
    this.#found = number;
    this.#passExpected(word);
    return number;
  }

  /** The number of the entry with that path, or -1. Says nothing of what will be asked for next. */
  numberOf(path: BytePath): number {
    const bytes = Buffer.from(path, 'latin1');
    return this.#search(bytes, 0, bytes.length);
  }

  /** The next path will be that behind this entry, if it is found in the order not too far on. */
  #expect(number: number): number {
    this.leadsTo = NO_ENTRY;
    if (number < 0) return number;
    const order = this.#order;
    const end = Math.min(order.length, this.#expected + MOST_SKIPPED);
    for (let at = this.#expected; at < end; at++) {
      const word = order[at] ?? NO_ENTRY;
      if ((word & ~LEADS_TO) === number) {
        this.#expected = at;
        this.#passExpected(word);
        break;
      }
      if ((word & LEADS_TO) !== 0) at++;
    }
    return number;
  }

  #passExpected(word: number): void {
    const isLink = (word & LEADS_TO) !== 0;
    this.leadsTo = isLink ? (this.#order[this.#expected + 1] ?? NO_ENTRY) : NO_ENTRY;
    this.#expected += isLink ? 2 : 1;
  }

  /** Fastest for paths near the one before. */
  #search(bytes: Uint8Array, start: number, end: number): number {
    const number = this.#blockFor(bytes, start, end);
    const used = number < 0 ? undefined : this.#use(number);
    if (used === undefined) return -1;
    const { place, block } = used;
    const near = this.#found - place.first;
    const index = search(block, near >= 0 && near < block.count ? near : 0, bytes, start, end);
    if (index < 0) return -1;
    this.#found = place.first + index;
    return this.#found;
  }

  /** The block of the entry that {@link find} found last. */
  get block(): EntryBlock | undefined {
    return this.#last?.block;
  }

  close(): void {
    this.#blocks.clear();
    this.#last = undefined;
    for (const fd of [this.#entries, this.#manifest]) {
      try {
        if (fd >= 0) closeSync(fd);
      } catch {
        // They were only read from: nothing is lost.
      }
    }
  }

  #useOf(entry: number): { place: Place; block: EntryBlock } | undefined {
    const last = this.#last?.place;
    if (last !== undefined && entry >= last.first && entry < last.first + last.count) return this.#last;
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#places[middle]?.first ?? 0) <= entry) low = middle + 1;
      else high = middle;
    }
    return entry >= this.count ? undefined : this.#use(low - 1);
  }

  /** The block in which the path would be; -1 before the first. */
  #blockFor(bytes: Uint8Array, start: number, end: number): number {
    const { number = 0 } = this.#last ?? {};
    if (this.#comesBefore(number, bytes, start, end) && !this.#comesBefore(number + 1, bytes, start, end)) {
      return number;
    }
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#comesBefore(middle, bytes, start, end)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Whether the block begins with that path or one before it. */
  #comesBefore(block: number, bytes: Uint8Array, start: number, end: number): boolean {
    const first = this.#places[block]?.firstPath;
    return first !== undefined && first.compare(bytes, start, end) <= 0;
  }

  #use(number: number): { place: Place; block: EntryBlock } | undefined {
    if (this.#last?.number === number) return this.#last;
    const place = this.#places[number];
    if (place === undefined) return undefined;
    let block = this.#blocks.get(number);
    if (block === undefined) {
      block = this.#read(place);
      if (block === undefined) return undefined;
      this.#keptBytes += block.bytes.length;
    } else this.#blocks.delete(number);
    this.#blocks.set(number, block);
    for (const [oldest, other] of this.#blocks) {
      if (this.#keptBytes <= this.#mostKeptBytes || oldest === number) break;
      this.#blocks.delete(oldest);
      this.#keptBytes -= other.bytes.length;
      other.memory.release();
    }
    this.#last = { number, place, block };
    return this.#last;
  }

  #read(place: Place): EntryBlock | undefined {
    if (this.#damaged.has(place)) return undefined;
    try {
      return new EntryBlock(readFrame(this.#entries, place), place, place.first);
    } catch (error) {
      this.#damaged.add(place);
      this.damage ??= error;
      return undefined;
    }
  }

  #placeOf(frame: FramePlace, first: number, memberStart: number): Place {
    const head = Buffer.alloc(BLOCK_HEAD_SIZE);
    readSync(this.#entries, head, 0, head.length, frame.start);
    const count = head.readUInt32LE(0);
    if (frame.length < BLOCK_HEAD_SIZE || count === 0 || pathsAt(count) > frame.length) {
      throw new FramesDamaged(`frame ${frame.index} has an impossible number of entries`);
    }
    const path = Buffer.alloc(Math.min(PATH_MAX, frame.length - pathsAt(count)));
    readSync(this.#entries, path, 0, path.length, frame.start + pathsAt(count));
    const end = path.indexOf(0);
    // A copy: of most of them a few bytes are wanted.
    const firstPath = Buffer.from(path.subarray(0, end < 0 ? path.length : end));
    return { ...frame, first, count, firstPath, memberStart, memberLength: head.readUInt32LE(8) };
  }
}

/** The entry of a block with that path, sought from `near` on in growing steps; or -1. */
function search(block: EntryBlock, near: number, bytes: Uint8Array, start: number, end: number): number {
  const order = block.comparePath(near, bytes, start, end);
  if (order === 0) return near;
  let low = 0;
  let high = block.count - 1;
  if (order < 0) {
    low = near + 1;
    for (let step = 1; low + step <= high; step *= 2) {
      if (block.comparePath(low + step - 1, bytes, start, end) >= 0) {
        high = low + step - 1;
        break;
      }
      low += step;
    }
  } else {
    high = near - 1;
    for (let step = 1; high - step >= low; step *= 2) {
      if (block.comparePath(high - step + 1, bytes, start, end) <= 0) {
        low = high - step + 1;
        break;
      }
      high -= step;
    }
  }
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const at = block.comparePath(middle, bytes, start, end);
    if (at === 0) return middle;
    if (at < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
