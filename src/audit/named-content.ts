import { ObjectTable } from '../catalog/object-table.js';
import type { Encoding } from '../config/compression.js';
import type { BlockRef, ManifestLine, ObjectRef } from '../manifest/types.js';

/** A bundle that a manifest names. */
export interface NamedBundle {
  key: string;
  /** SHA-256 of the tar. */
  sha: Buffer;
  version: string;
}

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

const CONTENT_KEY = /^content\/([0-9a-f]{64})$/;
const BUNDLE_KEY = /^bundles\/([0-9a-f]{64})\.tar$/;
/** What a catalog can hold. Servers' version ids are such texts, of 32 characters mostly. */
const VERSION = /^[\x21-\x7e]{1,255}$/;
const MAX_U32 = 0xffff_ffff;

const ENCODINGS: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
/** Bundle u32, offset u32, length u32, size u32, encoding u8, whether there is a SHA-256 u8, that. */
const RECORD = 50;

/**
 * The distinct contents that the lines of a manifest name: objects of their own, and members of bundles, in about 50
 * bytes each.
 */
export class NamedContent {
  /** By SHA-256; locks are not known. */
  readonly objects = new ObjectTable();
  readonly bundles: NamedBundle[] = [];
  readonly #numbers = new Map<string, number>();
  #records = Buffer.alloc(0);
  #count = 0;
  #order: Uint32Array | undefined;

  add(line: ManifestLine): void {
    if ((line.typ !== 'f' && line.typ !== 's') || line.dat === null) return;
    if (Array.isArray(line.dat)) for (const block of line.dat) this.#add(block, block.size, undefined);
    else this.#add(line.dat, line.size ?? 0, line.sha);
  }

  /** In the order in which they lie, each once. */
  *membersOf(bundle: number): Generator<NamedMember> {
    const order = (this.#order ??= this.#sorted());
    let last = -1;
    for (let place = this.#firstOf(order, bundle); place < order.length; place++) {
      const at = (order[place] ?? 0) * RECORD;
      if (this.#records.readUInt32LE(at) !== bundle) return;
      const member = this.#member(at);
      if (member.off !== last) yield member;
      last = member.off;
    }
  }

  #add(ref: ObjectRef | BlockRef, size: number, sha: string | undefined): void {
    if (!VERSION.test(ref.ver)) return;
    const content = CONTENT_KEY.exec(ref.key)?.[1];
    if (content !== undefined) {
      const bytes = Buffer.from(content, 'hex');
      // Several versions of one content: the first named is as good as any.
      if (this.objects.find(bytes) < 0)
        this.objects.set(bytes, 0, { version: ref.ver, enc: ref.enc, until: 0 });
      return;
    }
    const tar = BUNDLE_KEY.exec(ref.key)?.[1];
    const { off, len } = ref;
    if (tar === undefined || off === undefined || len === undefined) return;
    if (off + len > MAX_U32 || size > MAX_U32) return;
    this.#addMember(this.#numberOf(ref, tar), { off, len, enc: ref.enc, size, sha: hexBytes(sha) });
  }

  #numberOf({ key, ver }: ObjectRef, sha: string): number {
    const name = `${sha}${ver}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.bundles.push({ key, sha: Buffer.from(sha, 'hex'), version: ver }) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  #addMember(bundle: number, { off, len, enc, size, sha }: NamedMember): void {
    const at = this.#count++ * RECORD;
    if (at + RECORD > this.#records.length)
      this.#records = Buffer.concat([this.#records], Math.ceil((at + RECORD) * 1.5) + 64 * RECORD);
    const records = this.#records;
    records.writeUInt32LE(bundle, at);
    records.writeUInt32LE(off, at + 4);
    records.writeUInt32LE(len, at + 8);
    records.writeUInt32LE(size, at + 12);
    records.writeUInt8(Math.max(0, ENCODINGS.indexOf(enc)), at + 16);
    records.writeUInt8(sha === undefined ? 0 : 1, at + 17);
    sha?.copy(records, at + 18);
    this.#order = undefined;
  }

  #member(at: number): NamedMember {
    const records = this.#records;
    return {
      off: records.readUInt32LE(at + 4),
      len: records.readUInt32LE(at + 8),
      size: records.readUInt32LE(at + 12),
      enc: ENCODINGS[records.readUInt8(at + 16)],
      sha: records.readUInt8(at + 17) === 0 ? undefined : records.subarray(at + 18, at + RECORD),
    };
  }

  /** Numbers of the records by bundle and offset. */
  #sorted(): Uint32Array {
    const places = new Float64Array(this.#count);
    for (let each = 0; each < this.#count; each++)
      places[each] =
        this.#records.readUInt32LE(each * RECORD) * 2 ** 32 + this.#records.readUInt32LE(each * RECORD + 4);
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

function hexBytes(hex: string | undefined): Buffer | undefined {
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
}
