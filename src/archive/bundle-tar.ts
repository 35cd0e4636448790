import { createHash } from 'node:crypto';
import type { Encoding } from '../config/compression.js';
import type { ObjectBody } from '../store/port.js';

/** One small content in a bundle. */
export interface TarMember {
  /** SHA-256 of the unencoded bytes: 32 bytes. */
  sha: Uint8Array;
  enc: Encoding | undefined;
  /** As stored. */
  bytes: Uint8Array;
}

/** A tar's unit: a header is one, and data is filled up to a multiple (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 512;
const SUFFIXES: Record<Encoding, string> = { gzip: '.gz', zstd: '.zst' };
const SLAB = 1 << 20;

/** Where a header has its member's name, length and checksum. */
const SIZE_AT = 124;
const CHECKSUM_AT = 148;

/**
 * What the headers of all members have in common: the same bytes whoever makes them and when. Names of 64 to 68
 * characters need one header and no more.
 */
const COMMON = Buffer.alloc(RECORD);
COMMON.write('000444 \0', 100); // mode
COMMON.write('000000 \0', 108); // uid
COMMON.write('000000 \0', 116); // gid
COMMON.write('00000000000 ', 136); // mtime
COMMON.fill(' ', CHECKSUM_AT, CHECKSUM_AT + 8); // counts as spaces
COMMON.write('0', 156); // a regular file
COMMON.write('ustar\x0000', 257);
COMMON.write('000000 \0', 329); // device numbers
COMMON.write('000000 \0', 337);
const COMMON_SUM = COMMON.reduce((sum, byte) => sum + byte, 0);

/** The slabs that bundles are made in, used again and again. */
export class Slabs {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB);
  }

  /** The slabs must not be in use any more. */
  giveBack(slabs: readonly Buffer[]): void {
    this.#free.push(...slabs);
  }
}

/**
 * A tar of small contents, each under the name `<sha256>`, `<sha256>.gz` or `<sha256>.zst`. It is written as members
 * come, into slabs of 1 MiB: a bundle is in memory once, and what its members came in is free to go.
 */
export class BundleTar {
  readonly #pool: Slabs;
  readonly #sha = createHash('sha256');
  readonly #md5 = createHash('md5');
  readonly #slabs: Buffer[] = [];
  readonly #header = Buffer.from(COMMON);
  #filled = SLAB;

  constructor(pool = new Slabs()) {
    this.#pool = pool;
  }

  /** Bytes so far, headers and filling included. */
  get size(): number {
    return this.#slabs.length * SLAB - (SLAB - this.#filled);
  }

  /** Copies the member. Returns where its bytes begin. */
  add({ sha, enc, bytes }: TarMember): number {
    this.#write(this.#headerOf(sha, enc, bytes.length));
    const off = this.size;
    this.#write(bytes);
    this.#fill(-bytes.length & (RECORD - 1));
    return off;
  }

  /** Ends the tar. */
  finish(): { sha: Buffer; body: ObjectBody } {
    this.#fill(2 * RECORD);
    const last = this.#slabs.at(-1)?.subarray(0, this.#filled);
    if (last && last.length < SLAB) this.#hash(last);
    const pieces = this.#slabs.map((slab, index) =>
      index === this.#slabs.length - 1 ? slab.subarray(0, this.#filled) : slab,
    );
    return { sha: this.#sha.digest(), body: { pieces, md5: this.#md5.digest('hex'), size: this.size } };
  }

  /** Its memory is free for the next one. */
  release(): void {
    this.#pool.giveBack(this.#slabs.splice(0));
  }

  #headerOf(sha: Uint8Array, enc: Encoding | undefined, size: number): Buffer {
    const header = this.#header;
    const hex = Buffer.from(sha.buffer, sha.byteOffset, sha.length).toString('hex');
    const end = header.write(`${hex}${enc === undefined ? '' : SUFFIXES[enc]}`, 'latin1');
    header.fill(0, end, 100);
    header.write(`${size.toString(8).padStart(11, '0')} `, SIZE_AT, 'latin1');
    let sum = COMMON_SUM;
    for (let at = 0; at < end; at++) sum += header[at] ?? 0;
    for (let at = SIZE_AT; at < SIZE_AT + 12; at++) sum += header[at] ?? 0;
    header.write(`${sum.toString(8).padStart(6, '0')} \0`, CHECKSUM_AT, 'latin1');
    return header;
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const slab = this.#slab();
      const copied = Math.min(bytes.length - at, SLAB - this.#filled);
      slab.set(bytes.subarray(at, at + copied), this.#filled);
      this.#advance(slab, copied);
      at += copied;
    }
  }

  #fill(length: number): void {
    for (let left = length; left > 0; ) {
      const slab = this.#slab();
      const filled = Math.min(left, SLAB - this.#filled);
      slab.fill(0, this.#filled, this.#filled + filled);
      this.#advance(slab, filled);
      left -= filled;
    }
  }

  /** The slab to write to, with room in it. */
  #slab(): Buffer {
    const last = this.#slabs.at(-1);
    if (last !== undefined && this.#filled < SLAB) return last;
    const slab = this.#pool.take();
    this.#slabs.push(slab);
    this.#filled = 0;
    return slab;
  }

  #advance(slab: Buffer, length: number): void {
    this.#filled += length;
    if (this.#filled === SLAB) this.#hash(slab);
  }

  #hash(bytes: Uint8Array): void {
    this.#sha.update(bytes);
    this.#md5.update(bytes);
  }
}
