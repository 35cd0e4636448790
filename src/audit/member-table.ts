import { randomInt } from 'node:crypto';
import type { Encoding } from '../config/compression.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';

/** A content in a bundle, as a manifest names it. */
export interface NamedMember {
  off: number;
  len: number;
  enc: Encoding | undefined;
  /** Length of the content. */
  size: number;
  /** SHA-256 of the content; undefined of a block, whose line does not say it. */
  sha: Buffer | undefined;
}

const MAX_U32 = 0xffff_ffff;
const ENCODINGS: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
/** Bundle u32, offset u32, length u32, size u32, encoding u8, whether there is a SHA-256 u8, that. */
const RECORD = 50;
const SHA_AT = 18;
const EMPTY = 0xffff_ffff;

/** The distinct members of bundles that manifests name, in about 60 bytes each. */
export class MemberTable {
  #records = Buffer.alloc(64 * RECORD);
  #count = 0;
  #buckets = new Uint32Array(128).fill(EMPTY);
  #order: Uint32Array | undefined;
  /** Places come from others: without a secret they could all be made to fall into one bucket. */
  readonly #seed = randomInt(2 ** 32);

  /** False where the numbers are none that a bundle can have. */
  add(bundle: number, { off, len, enc, size, sha }: NamedMember): boolean {
    if (off + len > MAX_U32 || size > MAX_U32) return false;
    const start = this.#count * RECORD;
    if (start + RECORD > this.#records.length)
      this.#records = Buffer.concat([this.#records], Math.ceil(this.#records.length * 1.5));
    const records = this.#records;
    records.writeUInt32LE(bundle, start);
    records.writeUInt32LE(off, start + 4);
    records.writeUInt32LE(len, start + 8);
    records.writeUInt32LE(size, start + 12);
    records.writeUInt8(Math.max(0, ENCODINGS.indexOf(enc)), start + 16);
    records.writeUInt8(sha === undefined ? 0 : 1, start + 17);
    records.fill(0, start + SHA_AT, start + RECORD);
    sha?.copy(records, start + SHA_AT);
    this.#keepIfNew(start);
    return true;
  }

  /** Those of a bundle, in the order in which they lie. */
  *of(bundle: number): Generator<NamedMember> {
    const order = (this.#order ??= this.#sorted());
    for (let at = this.#firstOf(order, bundle); at < order.length; at++) {
      const start = (order[at] ?? 0) * RECORD;
      if (this.#records.readUInt32LE(start) !== bundle) return;
      yield this.#member(start);
    }
  }

  /** What was written behind the last record becomes one, unless there is the same already. */
  #keepIfNew(start: number): void {
    const mask = this.#buckets.length - 1;
    let at = this.#hash(start) & mask;
    for (; this.#buckets[at] !== EMPTY; at = (at + 1) & mask) {
      const known = (this.#buckets[at] ?? 0) * RECORD;
      if (this.#records.compare(this.#records, start, start + RECORD, known, known + RECORD) === 0) return;
    }
    this.#buckets[at] = this.#count++;
    this.#order = undefined;
    if (this.#count * 2 > this.#buckets.length) this.#rehash();
  }

  #hash(start: number): number {
    const [bundle, off] = [this.#records.readUInt32LE(start), this.#records.readUInt32LE(start + 4)];
    let hash = Math.imul(bundle ^ this.#seed, 0x9e37_79b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ off, 0x85eb_ca77);
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  #rehash(): void {
    const buckets = new Uint32Array(this.#buckets.length * 2).fill(EMPTY);
    const mask = buckets.length - 1;
    for (let record = 0; record < this.#count; record++) {
      let at = this.#hash(record * RECORD) & mask;
      while (buckets[at] !== EMPTY) at = (at + 1) & mask;
      buckets[at] = record;
    }
    this.#buckets = buckets;
  }

  #member(start: number): NamedMember {
    const records = this.#records;
    return {
      off: records.readUInt32LE(start + 4),
      len: records.readUInt32LE(start + 8),
      size: records.readUInt32LE(start + 12),
      enc: ENCODINGS[records.readUInt8(start + 16)],
      sha: records.readUInt8(start + 17) === 0 ? undefined : records.subarray(start + SHA_AT, start + RECORD),
    };
  }

  /** Numbers of the records by bundle and offset. */
  #sorted(): Uint32Array {
    const places = new Float64Array(this.#count);
    for (let record = 0; record < this.#count; record++) {
      const start = record * RECORD;
      places[record] = this.#records.readUInt32LE(start) * 2 ** 32 + this.#records.readUInt32LE(start + 4);
    }
    return Uint32Array.from(places.keys()).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  }

  #firstOf(order: Uint32Array, bundle: number): number {
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#records.readUInt32LE((order[middle] ?? 0) * RECORD) < bundle) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The references to members of bundles that a line's `dat` makes, with what it says of them. */
export function membersIn(
  dat: DataRef,
  size: number,
  sha: string | undefined,
): { ref: ObjectRef; member: NamedMember }[] {
  if (Array.isArray(dat)) return dat.flatMap((block: BlockRef) => memberOf(block, block.size, undefined));
  return dat === null ? [] : memberOf(dat, size, sha);
}

function memberOf(
  ref: ObjectRef,
  size: number,
  sha: string | undefined,
): { ref: ObjectRef; member: NamedMember }[] {
  const { off, len, enc } = ref;
  if (off === undefined || len === undefined) return [];
  return [
    { ref, member: { off, len, enc, size, sha: sha === undefined ? undefined : Buffer.from(sha, 'hex') } },
  ];
}
