import { randomInt } from 'node:crypto';
import type { Encoding } from '../config/compression.js';
import type { ObjectRef } from '../manifest/types.js';

/** Where a version is named with more than where it is: how its bytes are encoded and what they must hash to. */
export interface NamedVersion extends Pick<ObjectRef, 'key' | 'ver'> {
  /** `metadata`: the object's own say it, and no manifest how long it is unpacked. */
  enc?: Encoding | 'metadata' | undefined;
  /** SHA-256 of the unencoded bytes in hex, where the key does not say it. */
  sha?: string | undefined;
}

const ENCODINGS: readonly NamedVersion['enc'][] = [undefined, 'gzip', 'zstd', 'metadata'];
const KINDS = ['other', 'content', 'bundle'] as const;
type Kind = (typeof KINDS)[number];
const HAS_SHA = 0x80;
const SHA_KEY = /^(?:content\/[0-9a-f]{64}|bundles\/[0-9a-f]{64}\.tar)$/;
const SHA_SIZE = 32;
/** Longer version ids are cut: S3's have at most 1024 bytes, so no version is called like the rest. */
const VERSION_MAX = 1024;
const KEY_MAX = 4096;
const RECORD_MAX = 1 + 2 + KEY_MAX + SHA_SIZE + 3 * VERSION_MAX;
const CHUNK_BITS = 20;
const CHUNK = 1 << CHUNK_BITS;
const EMPTY = 0xffff_ffff;

/**
 * The distinct object versions that manifests name, in about 100 bytes each: the name in a pool of bytes, the rest in
 * columns of numbers. What the columns `until`, `needed`, `flags`, `size` and `set` mean is up to who uses the table.
 * Rows are numbered from 0 in the order in which they came and are never moved or removed.
 */
export class VersionTable {
  until = new Uint32Array(0);
  needed = new Uint32Array(0);
  flags = new Uint8Array(0);
  size = new Float64Array(0);
  set = new Uint32Array(0);
  #count = 0;
  #places = new Uint32Array(0);
  #lengths = new Uint16Array(0);
  readonly #chunks: Buffer[] = [];
  #used = CHUNK;
  #buckets = new Uint32Array(1 << 10).fill(EMPTY);
  readonly #scratch = Buffer.alloc(RECORD_MAX);
  /** Keys and version ids come from others: without a secret they could all be made to fall into one bucket. */
  readonly #seed = randomInt(2 ** 32);

  /** How many rows there are. */
  get count(): number {
    return this.#count;
  }

  /** The row of this version; it is made where there is none. */
  add(named: NamedVersion): number {
    const length = this.#write(named);
    const hash = mix(this.#scratch, 0, length, this.#seed);
    const found = this.#lookUp(hash, length);
    if (found >= 0) return found;
    if ((this.#count + 1) * 2 > this.#buckets.length) this.#rehash();
    const row = this.#append(length);
    this.#insert(hash, row);
    return row;
  }

  /** The row of this version, or -1. */
  find(named: NamedVersion): number {
    const length = this.#write(named);
    return this.#lookUp(mix(this.#scratch, 0, length, this.#seed), length);
  }

  kind(row: number): Kind {
    return KINDS[(this.#record(row)[0] ?? 0) & 3] ?? 'other';
  }

  key(row: number): string {
    const record = this.#record(row);
    const kind = this.kind(row);
    if (kind === 'content') return `content/${record.toString('hex', 1, 1 + SHA_SIZE)}`;
    if (kind === 'bundle') return `bundles/${record.toString('hex', 1, 1 + SHA_SIZE)}.tar`;
    return record.toString('utf8', 3, 3 + record.readUInt16LE(1));
  }

  version(row: number): string {
    const record = this.#record(row);
    return record.toString('utf8', versionAt(record));
  }

  encoding(row: number): NamedVersion['enc'] {
    return ENCODINGS[((this.#record(row)[0] ?? 0) >> 2) & 3];
  }

  /** SHA-256 of the unencoded bytes in hex, from the key or from what {@link add} was given; undefined where neither. */
  sha(row: number): string | undefined {
    const record = this.#record(row);
    if (this.kind(row) !== 'other') return record.toString('hex', 1, 1 + SHA_SIZE);
    if (((record[0] ?? 0) & HAS_SHA) === 0) return undefined;
    const end = versionAt(record);
    return record.toString('hex', end - SHA_SIZE, end);
  }

  /** A number from 0 to 2^32 - 1 that depends on the name alone and is the same everywhere. */
  die(row: number): number {
    const record = this.#record(row);
    return mix(record, 0, record.length, 0);
  }

  /** All rows of a kind, ascending by key and of one key by version id. */
  sorted(kind: Kind): Uint32Array {
    const rows: number[] = [];
    for (let row = 0; row < this.#count; row++) if (this.kind(row) === kind) rows.push(row);
    const sorted = Uint32Array.from(rows);
    if (kind === 'other') return sorted.sort((a, b) => this.#compareOther(a, b));
    // Nearly every comparison is decided by these numbers, which saves looking the records up.
    const leading = new Uint32Array(this.#count);
    for (const row of sorted) leading[row] = this.#record(row).readUInt32BE(1);
    return sorted.sort(
      (a, b) =>
        (leading[a] ?? 0) - (leading[b] ?? 0) || this.#record(a).subarray(1).compare(this.#record(b), 1),
    );
  }

  #compareOther(a: number, b: number): number {
    const [left, right] = [this.#record(a), this.#record(b)];
    const [leftEnd, rightEnd] = [3 + left.readUInt16LE(1), 3 + right.readUInt16LE(1)];
    const byKey = left.compare(right, 3, rightEnd, 3, leftEnd);
    return byKey || left.compare(right, versionAt(right), right.length, versionAt(left), left.length);
  }

  /** Puts the record into the scratch buffer: kind, encoding, key, SHA-256, version id. Returns its length. */
  #write({ key, ver, enc, sha }: NamedVersion): number {
    const to = this.#scratch;
    let head = Math.max(0, ENCODINGS.indexOf(enc)) << 2;
    let at: number;
    if (SHA_KEY.test(key)) {
      const start = key.indexOf('/') + 1;
      to.write(key.slice(start, start + 2 * SHA_SIZE), 1, 'hex');
      at = 1 + SHA_SIZE;
      head |= KINDS.indexOf(start === 8 && key.length === 8 + 2 * SHA_SIZE ? 'content' : 'bundle');
    } else {
      const length = to.write(key, 3, KEY_MAX, 'utf8');
      to.writeUInt16LE(length, 1);
      at = 3 + length;
      if (sha !== undefined) {
        head |= HAS_SHA;
        at += to.write(sha, at, SHA_SIZE, 'hex');
      }
    }
    to[0] = head;
    return at + to.write(ver.slice(0, VERSION_MAX), at, 'utf8');
  }

  #lookUp(hash: number, length: number): number {
    const mask = this.#buckets.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = this.#buckets[at] ?? EMPTY;
      if (row === EMPTY) return -1;
      if (this.#lengths[row] === length && this.#record(row).compare(this.#scratch, 0, length) === 0)
        return row;
    }
  }

  #append(length: number): number {
    if (this.#count === this.#places.length) this.#grow();
    if (this.#used + length > CHUNK) {
      this.#chunks.push(Buffer.allocUnsafe(CHUNK));
      this.#used = 0;
    }
    const chunk = this.#chunks.at(-1);
    if (chunk !== undefined) this.#scratch.copy(chunk, this.#used, 0, length);
    const row = this.#count++;
    this.#places[row] = (this.#chunks.length - 1) * CHUNK + this.#used;
    this.#lengths[row] = length;
    this.#used += length;
    return row;
  }

  #record(row: number): Buffer {
    const place = this.#places[row] ?? 0;
    const chunk = this.#chunks[place >>> CHUNK_BITS];
    const start = place & (CHUNK - 1);
    return chunk?.subarray(start, start + (this.#lengths[row] ?? 0)) ?? Buffer.alloc(0);
  }

  #insert(hash: number, row: number): void {
    const mask = this.#buckets.length - 1;
    let at = hash & mask;
    while (this.#buckets[at] !== EMPTY) at = (at + 1) & mask;
    this.#buckets[at] = row;
  }

  #rehash(): void {
    this.#buckets = new Uint32Array(this.#buckets.length * 2).fill(EMPTY);
    for (let row = 0; row < this.#count; row++) {
      const record = this.#record(row);
      this.#insert(mix(record, 0, record.length, this.#seed), row);
    }
  }

  #grow(): void {
    const capacity = Math.max(1024, Math.ceil(this.#count * 1.5));
    this.until = grown(this.until, new Uint32Array(capacity));
    this.needed = grown(this.needed, new Uint32Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    this.size = grown(this.size, new Float64Array(capacity));
    this.set = grown(this.set, new Uint32Array(capacity));
    this.#places = grown(this.#places, new Uint32Array(capacity));
    this.#lengths = grown(this.#lengths, new Uint16Array(capacity));
  }
}

/** Where the version id begins in a record. */
function versionAt(record: Buffer): number {
  const head = record[0] ?? 0;
  if ((head & 3) !== 0) return 1 + SHA_SIZE;
  return 3 + record.readUInt16LE(1) + ((head & HAS_SHA) === 0 ? 0 : SHA_SIZE);
}

function mix(bytes: Buffer, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start);
  for (let at = start; at < end; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((at + 1 < end ? (bytes[at + 1] ?? 0) : 0) << 8) |
      ((at + 2 < end ? (bytes[at + 2] ?? 0) : 0) << 16) |
      ((at + 3 < end ? (bytes[at + 3] ?? 0) : 0) << 24);
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x85eb_ca77);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function grown<T extends Uint32Array | Uint16Array | Uint8Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
