import type { Encoding } from '../config/compression.js';
import { releaseMemory } from '../release-memory.js';
import { BundleTable } from './bundle-table.js';
import type { ObjectRows } from './object-rows.js';

/** What is remembered of one stored object. */
export interface ObjectRecord {
  version: string;
  enc: Encoding | undefined;
  /** End of its lock in seconds since the epoch. */
  until: number;
  /** Bytes as stored. Undefined: not known. */
  size?: number | undefined;
}

/** What is remembered of content that stands in a bundle. */
export interface MemberRecord {
  /** Number in {@link ObjectTable.bundles}. */
  bundle: number;
  /** Where its stored bytes begin in the tar, and how many they are. */
  off: number;
  len: number;
  enc: Encoding | undefined;
}

const ENCODINGS: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
const ENCODING_MASK = 0b11;
const GONE = 0b100;
const USED = 0b1000;
const MEMBER = 0b1_0000;
const SHA_SIZE = 32;
const SHA_WORDS = SHA_SIZE / 4;
const EMPTY = 0xffff_ffff;
/** In a row: nobody knows how long it is. No object is empty. */
const NO_SIZE = 0;
const MAX_SIZE = 0xffff_ffff;
/** A lock that ends later is remembered to end then, in 2106: what is known of it is a lower bound. */
const LATEST = 0xffff_ffff;

/**
 * The distinct contents this machine knows to be stored, by the SHA-256 of their unencoded bytes: objects of their
 * own, or members of bundles. A million of them must fit beside everything else, so a row is columns in typed arrays,
 * about 90 bytes with a version id of 32 characters, and not an object of a few hundred.
 *
 * Rows are never moved: a row number stays good for the table's life.
 */
export class ObjectTable {
  readonly bundles = new BundleTable();
  #changed = false;
  #size = 0;
  #shas = Buffer.alloc(0);
  /** The same memory: words are compared faster than a call that compares bytes. */
  #shaWords = new Int32Array(0);
  #flags = new Uint8Array(0);
  /** Where the version stands in `#versions`; of members the bundle's number. */
  #versionAt = new Uint32Array(0);
  #tags = new Uint32Array(0);
  /** The end of the lock; of members where their stored bytes begin in the tar. */
  #ats = new Uint32Array(0);
  /** Bytes as stored: of a member in the tar, of an object of its own in all. */
  #lens = new Uint32Array(0);
  #versions = Buffer.alloc(1 << 12);
  #versionsEnd = 0;
  /** Row numbers by hash, open addressing; the hash is the SHA's first word. */
  #buckets = new Uint32Array(16).fill(EMPTY);
  readonly #soughtWords = new Int32Array(SHA_WORDS);
  readonly #sought = new Uint8Array(this.#soughtWords.buffer);

  /** Whether anything but what this run uses is other than it was read. */
  get changed(): boolean {
    return this.#changed || this.bundles.changed;
  }

  /** All of it has just been read. */
  asRead(): void {
    this.#changed = false;
    this.bundles.changed = false;
  }

  get size(): number {
    return this.#size;
  }

  /** The row of the SHA at `offset` in `bytes`, or -1. Rows that are gone are found too. */
  find(bytes: Uint8Array, offset = 0): number {
    for (let index = 0; index < SHA_SIZE; index++) this.#sought[index] = bytes[offset + index] ?? 0;
    return this.findWords(this.#soughtWords, 0);
  }

  /** The same of a SHA at word `at`. */
  findWords(words: Int32Array, at: number): number {
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    for (let bucket = (words[at] ?? 0) & mask; ; bucket = (bucket + 1) & mask) {
      const row = buckets[bucket] ?? EMPTY;
      if (row === EMPTY) return -1;
      if (this.#sameSha(row, words, at)) return row;
    }
  }

  /** Makes room for so many rows at once, since growing takes the memory of both sizes. */
  reserve(rows: number): void {
    if (rows > this.#ats.length) this.#resize(rows);
  }

  /**
   * Up to so many rows are to come. Where they are most of the table it gets room for all of them now, which takes
   * memory only as it is used; otherwise it grows as they come.
   */
  expect(rows: number): void {
    if (rows > this.#size) this.reserve(this.#size + rows);
  }

  /**
   * Adds rows that are not there yet, all of them different: what a catalog's file holds.
   *
   * @param withSizes whether they have the lengths of objects that are no members
   */
  addRows(rows: ObjectRows, withSizes = true): void {
    const first = this.#size;
    this.#makeRoom(rows.count);
    this.#shas.set(rows.shas, first * SHA_SIZE);
    this.#flags.set(rows.flags, first);
    this.#tags.set(rows.tags, first);
    this.#lens.set(rows.lens, first);
    let versionAt = 0;
    for (let index = 0; index < rows.count; index++) {
      const row = first + index;
      const of = rows.of[index] ?? 0;
      if (((rows.flags[index] ?? 0) & MEMBER) !== 0) {
        this.#versionAt[row] = of;
        this.#ats[row] = rows.at[index] ?? 0;
      } else {
        this.#versionAt[row] = this.#storeVersionBytes(rows.versions, versionAt, of);
        this.#ats[row] = rows.at[index] ?? 0;
        if (!withSizes) this.#lens[row] = NO_SIZE;
        versionAt += of;
      }
    }
    this.#size += rows.count;
    this.#link(first);
  }

  /** Copies a row for {@link addRows}, with the number its bundle has there. Returns how many bytes of versions there are then. */
  copyRow(row: number, to: ObjectRows, index: number, bundle: number, versionAt: number): number {
    const start = row * SHA_SIZE;
    this.#shas.copy(to.shas, index * SHA_SIZE, start, start + SHA_SIZE);
    to.flags[index] = (this.#flags[row] ?? 0) & (ENCODING_MASK | MEMBER);
    to.tags[index] = this.#tags[row] ?? 0;
    to.lens[index] = this.#lens[row] ?? 0;
    if (this.isMember(row)) {
      to.of[index] = bundle;
      to.at[index] = this.#ats[row] ?? 0;
      return versionAt;
    }
    const at = this.#versionAt[row] ?? 0;
    const length = this.#versions.readUInt16LE(at);
    to.of[index] = length;
    to.at[index] = this.#ats[row] ?? 0;
    this.#versions.copy(to.versions, versionAt, at + 2, at + 2 + length);
    return versionAt + length;
  }

  /** Adds or replaces an object of its own. Returns the row. */
  set(bytes: Uint8Array, offset: number, record: ObjectRecord): number {
    const row = this.#rowFor(bytes, offset);
    this.#ats[row] = Math.min(record.until, LATEST);
    this.#flags[row] = ENCODINGS.indexOf(record.enc) | ((this.#flags[row] ?? 0) & USED);
    this.#versionAt[row] = this.#storeVersion(record.version);
    this.#lens[row] = storedSizeOf(record.size);
    this.#tags[row] = tagOf(record.version, 0);
    return row;
  }

  /** Adds or replaces a bundle's member. Returns the row. */
  setMember(bytes: Uint8Array, offset: number, { bundle, off, len, enc }: MemberRecord): number {
    const row = this.#rowFor(bytes, offset);
    this.#flags[row] = ENCODINGS.indexOf(enc) | MEMBER;
    this.#versionAt[row] = bundle;
    this.#ats[row] = off;
    this.#lens[row] = len;
    this.#tags[row] = tagOf(this.bundles.get(bundle).version, off);
    return row;
  }

  /** The number of a member's bundle. */
  bundleOf(row: number): number {
    return this.#versionAt[row] ?? 0;
  }

  /** How long the version id of an object of its own is. */
  versionLength(row: number): number {
    return this.#versions.readUInt16LE(this.#versionAt[row] ?? 0);
  }

  /** The first byte of a row's SHA. */
  firstByte(row: number): number {
    return this.#shas[row * SHA_SIZE] ?? 0;
  }

  isMember(row: number): boolean {
    return ((this.#flags[row] ?? 0) & MEMBER) !== 0;
  }

  /** Only of rows that are members. */
  member(row: number): MemberRecord {
    return {
      bundle: this.#versionAt[row] ?? 0,
      off: this.#ats[row] ?? 0,
      len: this.#lens[row] ?? 0,
      enc: this.encoding(row),
    };
  }

  version(row: number): string {
    const at = this.#versionAt[row] ?? 0;
    if (this.isMember(row)) return this.bundles.get(at).version;
    const length = this.#versions.readUInt16LE(at);
    return this.#versions.toString('latin1', at + 2, at + 2 + length);
  }

  /**
   * A number that differs, all but surely, between references: another version of the object, another place in a
   * bundle. A line written with a reference holds only as long as the row has that same one.
   */
  tag(row: number): number {
    return this.#tags[row] ?? 0;
  }

  encoding(row: number): Encoding | undefined {
    return ENCODINGS[(this.#flags[row] ?? 0) & ENCODING_MASK];
  }

  until(row: number): number {
    return this.isMember(row) ? this.bundles.get(this.#versionAt[row] ?? 0).until : (this.#ats[row] ?? 0);
  }

  /** Not of members: their lock is their bundle's. */
  setUntil(row: number, until: number): void {
    this.#changed = true;
    this.#ats[row] = Math.min(until, LATEST);
  }

  /** How many bytes of an object of its own were stored; undefined where nobody knows: in catalogs of before. */
  storedSize(row: number): number | undefined {
    const size = this.#lens[row] ?? NO_SIZE;
    return size === NO_SIZE ? undefined : size;
  }

  /** A listing has shown how long an object of its own is. */
  learnSize(row: number, size: number): void {
    this.#changed = true;
    this.#lens[row] = storedSizeOf(size);
  }

  /** The SHA of a row; a view, not to be kept. */
  sha(row: number): Buffer {
    return this.#shas.subarray(row * SHA_SIZE, (row + 1) * SHA_SIZE);
  }

  /** Forgets an object that the store no longer has: it is found, but as gone. `set` brings it back. */
  markGone(row: number): void {
    this.#changed = true;
    this.#flags[row] = (this.#flags[row] ?? 0) | GONE;
  }

  isGone(row: number): boolean {
    const flags = this.#flags[row] ?? 0;
    if ((flags & GONE) !== 0) return true;
    return (flags & MEMBER) !== 0 && this.bundles.get(this.#versionAt[row] ?? 0).gone;
  }

  /** Notes that this run's manifest names the object. */
  markUsed(row: number): void {
    const flags = this.#flags[row] ?? 0;
    if ((flags & USED) !== 0) return;
    this.#flags[row] = flags | USED;
    if ((flags & MEMBER) !== 0) this.bundles.addLive(this.#versionAt[row] ?? 0, this.#lens[row] ?? 0);
  }

  isUsed(row: number): boolean {
    return ((this.#flags[row] ?? 0) & USED) !== 0;
  }

  #sameSha(row: number, words: Int32Array, at: number): boolean {
    const start = row * SHA_WORDS;
    for (let word = 0; word < SHA_WORDS; word++) {
      if (this.#shaWords[start + word] !== words[at + word]) return false;
    }
    return true;
  }

  #rowFor(bytes: Uint8Array, offset: number): number {
    this.#changed = true;
    const known = this.find(bytes, offset);
    if (known >= 0) return known;
    const row = this.#size;
    this.#makeRoom(1);
    this.#shas.set(bytes.subarray(offset, offset + SHA_SIZE), row * SHA_SIZE);
    this.#size++;
    this.#link(row);
    return row;
  }

  /** Puts the rows from `first` on into the buckets. */
  #link(first: number): void {
    let from = first;
    if (this.#size * 2 > this.#buckets.length) {
      let length = this.#buckets.length;
      while (this.#size * 2 > length) length *= 2;
      this.#buckets = new Uint32Array(length).fill(EMPTY);
      from = 0;
    }
    const mask = this.#buckets.length - 1;
    for (let row = from; row < this.#size; row++) {
      let at = (this.#shaWords[row * SHA_WORDS] ?? 0) & mask;
      while (this.#buckets[at] !== EMPTY) at = (at + 1) & mask;
      this.#buckets[at] = row;
    }
  }

  #makeRoom(rows: number): void {
    const needed = this.#size + rows;
    if (needed <= this.#ats.length) return;
    // By a quarter: of a million rows the room that doubling leaves unused would be a sixth of the memory we promise.
    this.#resize(Math.max(256, needed, Math.ceil(this.#size * 1.25)));
  }

  #resize(capacity: number): void {
    const shas = Buffer.alloc(capacity * SHA_SIZE);
    this.#shas.copy(shas);
    this.#shas = shas;
    this.#shaWords = new Int32Array(shas.buffer, shas.byteOffset, capacity * SHA_WORDS);
    this.#flags = grown(this.#flags, new Uint8Array(capacity));
    this.#versionAt = grown(this.#versionAt, new Uint32Array(capacity));
    this.#tags = grown(this.#tags, new Uint32Array(capacity));
    this.#ats = grown(this.#ats, new Uint32Array(capacity));
    this.#lens = grown(this.#lens, new Uint32Array(capacity));
  }

  #storeVersion(version: string): number {
    const bytes = Buffer.from(version, 'latin1');
    return this.#storeVersionBytes(bytes, 0, bytes.length);
  }

  #storeVersionBytes(bytes: Uint8Array, from: number, length: number): number {
    if (this.#versionsEnd + length + 2 > this.#versions.length) {
      const larger = Buffer.alloc(Math.ceil((this.#versions.length + length) * 1.5));
      this.#versions.copy(larger, 0, 0, this.#versionsEnd);
      this.#versions = larger;
    }
    const at = this.#versionsEnd;
    this.#versions.writeUInt16LE(length, at);
    for (let index = 0; index < length; index++) this.#versions[at + 2 + index] = bytes[from + index] ?? 0;
    this.#versionsEnd += length + 2;
    return at;
  }
}

/** What does not fit is not compared. */
function storedSizeOf(size: number | undefined): number {
  return size === undefined || size > MAX_SIZE ? NO_SIZE : size;
}

/** FNV-1a, 32 bits. */
function tagOf(version: string, off: number): number {
  let hash = 0x811c9dc5 ^ off;
  for (let index = 0; index < version.length; index++) {
    hash = Math.imul(hash ^ version.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  releaseMemory(from);
  return to;
}
