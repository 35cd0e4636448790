import type { Encoding } from '../config/compression.js';
import type { ObjectBody } from '../store/port.js';
import { BundleBytes, Slabs } from './bundle-bytes.js';
import { gzipMemberOfRuns, storedGzipMember } from './gzip-member.js';

/** One small content in a bundle. */
export interface TarMember {
  /** SHA-256 of the unencoded bytes: 32 bytes. */
  sha: Uint8Array;
  enc: Encoding | undefined;
  /** As stored. */
  bytes: Uint8Array;
  /** Length of the unencoded bytes. */
  size: number;
}

/** Where a member's bytes are in the bundle, and in which form. */
export interface MemberPlace {
  off: number;
  len: number;
  enc: Encoding | undefined;
}

/** A bundle in the making. Its bytes are the same whoever makes it of these members, and when. */
export interface BundleTar {
  /** Bytes so far. */
  readonly size: number;
  /** How the tar as a whole is encoded, for its metadata. */
  readonly enc: 'gzip' | undefined;
  add(member: TarMember): MemberPlace;
  finish(): { sha: Buffer; body: ObjectBody };
  /** Gives its memory to the next one; what {@link finish} gave must not be in use any more. */
  release(): void;
}

/** A tar's unit: a header is one, and data is filled up to a multiple (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 512;
const END = Buffer.alloc(2 * RECORD);
/** A bundle is sent when it has so many bytes: with its end it stays below 32 MiB. */
export const MAX_BUNDLE_BYTES = (32 << 20) - (64 << 10);

/** Bytes after the last member. */
export const TAR_END = END.length;

/** Bytes that so long a member takes in a bundle, at most: compressed, what is between the members is shorter. */
export function bundledSize(length: number): number {
  return RECORD + Math.ceil(length / RECORD) * RECORD;
}

const SUFFIXES: Record<Encoding, string> = { gzip: '.gz', zstd: '.zst' };

/** A tar of contents, each under the name `<sha256>`, `<sha256>.gz` or `<sha256>.zst` by the form it is stored in. */
export class PlainBundleTar implements BundleTar {
  readonly enc = undefined;
  readonly #bytes: BundleBytes;

  constructor(slabs = new Slabs()) {
    this.#bytes = new BundleBytes(slabs);
  }

  get size(): number {
    return this.#bytes.size;
  }

  add({ sha, enc, bytes }: TarMember): MemberPlace {
    this.#bytes.add(headerAfter(0, `${hexOf(sha)}${enc === undefined ? '' : SUFFIXES[enc]}`, bytes.length));
    const off = this.#bytes.size;
    this.#bytes.add(bytes);
    this.#bytes.add(END.subarray(0, fillingOf(bytes.length)));
    return { off, len: bytes.length, enc };
  }

  finish(): { sha: Buffer; body: ObjectBody } {
    this.#bytes.add(END);
    return this.#bytes.finish();
  }

  release(): void {
    this.#bytes.release();
  }
}

/**
 * The same tar of unencoded contents, compressed: each content is a gzip member of its own, and what tar puts between
 * two contents is another one, which takes 140 bytes in place of 770. So the whole is a `.tar.gz` to every tar, and
 * each content can be had by a range and unpacked by itself.
 */
export class GzipBundleTar implements BundleTar {
  readonly enc = 'gzip';
  readonly #bytes: BundleBytes;
  #filling = 0;

  constructor(slabs = new Slabs()) {
    this.#bytes = new BundleBytes(slabs);
  }

  get size(): number {
    return this.#bytes.size;
  }

  add({ sha, enc, bytes, size }: TarMember): MemberPlace {
    this.#bytes.add(gzipMemberOfRuns(headerAfter(this.#filling, hexOf(sha), size)));
    this.#filling = fillingOf(size);
    const off = this.#bytes.size;
    if (enc === 'gzip') this.#bytes.add(bytes);
    else for (const piece of storedGzipMember(bytes)) this.#bytes.add(piece);
    return { off, len: this.#bytes.size - off, enc: 'gzip' };
  }

  finish(): { sha: Buffer; body: ObjectBody } {
    this.#bytes.add(gzipMemberOfRuns(Buffer.alloc(this.#filling + END.length)));
    return this.#bytes.finish();
  }

  release(): void {
    this.#bytes.release();
  }
}

/** What a tar is filled up with after so many bytes. */
function fillingOf(length: number): number {
  return (RECORD - (length % RECORD)) % RECORD;
}

function hexOf(sha: Uint8Array): string {
  return Buffer.from(sha.buffer, sha.byteOffset, sha.length).toString('hex');
}

/** A ustar header of a file without owner or time, read-only, but for name, size and checksum. */
const HEADER = Buffer.alloc(RECORD);
HEADER.write(`0000444\0${'0000000\0'.repeat(2)}`, 100, 'latin1');
HEADER.write(`${'0'.repeat(11)}\0`, 136, 'latin1');
// The checksum is taken with blanks in its place.
HEADER.write(' '.repeat(8), 148, 'latin1');
HEADER.write('0', 156, 'latin1');
HEADER.write('ustar\x0000', 257, 'latin1');
const HEADER_SUM = sumOf(HEADER, 0, RECORD);
const NAME_ROOM = 100;

/** What a tar is filled up with, and the header after it: made in the same place each time. */
const between = Buffer.concat([Buffer.alloc(RECORD), HEADER]);
const header = between.subarray(RECORD);

/**
 * So many zeros and a header; names of this length need one header and no more. Valid until the next call: there is one
 * for each file.
 */
function headerAfter(filling: number, name: string, size: number): Buffer {
  header.fill(0, header.write(name, 0, 'latin1'), NAME_ROOM);
  header.write(size.toString(8).padStart(11, '0'), 124, 'latin1');
  // Not of all its bytes.
  const sum = HEADER_SUM + sumOf(header, 0, name.length) + sumOf(header, 124, 135);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return between.subarray(RECORD - filling);
}

function sumOf(bytes: Buffer, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += bytes[at] ?? 0;
  return sum;
}
