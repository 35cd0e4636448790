import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
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
const NO_TIME = new Date(0);
/** Loaded with the first bundle: it takes 20 ms, and most runs have nothing to bundle. */
const tarStream = (): typeof import('tar-stream') =>
  createRequire(import.meta.url)('tar-stream') as typeof import('tar-stream');

const SLAB = 1 << 20;

/** A bundle is sent when it has so many bytes: with its end it stays below 32 MiB. */
export const MAX_BUNDLE_BYTES = (32 << 20) - (64 << 10);

/** Bytes after the last member: two empty records. */
export const TAR_END = 2 * RECORD;

/** Bytes that so long a member takes in a bundle. */
export function bundledSize(length: number): number {
  return RECORD + Math.ceil(length / RECORD) * RECORD;
}

/**
 * A tar of small contents, each under the name `<sha256>`, `<sha256>.gz` or `<sha256>.zst`. It is written as members
 * come, into slabs of 1 MiB: a bundle is in memory once, and what its members came in is free to go.
 */
export class BundleTar {
  readonly #pack = tarStream().pack();
  readonly #ended = once(this.#pack, 'end');
  readonly #sha = createHash('sha256');
  readonly #md5 = createHash('md5');
  readonly #slabs: Buffer[] = [];
  #filled = SLAB;
  #size = 0;
  #next = 0;

  constructor() {
    this.#pack.on('data', (chunk) => this.#take(chunk as Buffer));
  }

  /** Bytes so far, headers and filling included. */
  get size(): number {
    return this.#next;
  }

  /** Returns where the member's bytes begin. They are read within this turn of the event loop and the next few. */
  add({ sha, enc, bytes }: TarMember): number {
    const hex = Buffer.from(sha.buffer, sha.byteOffset, sha.length).toString('hex');
    const name = `${hex}${enc === undefined ? '' : SUFFIXES[enc]}`;
    // The same bytes whoever makes them and when: names of this length need one header and no more.
    const header = { name, size: bytes.length, mode: 0o444, mtime: NO_TIME, uid: 0, gid: 0 };
    this.#pack.entry(header, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    const off = this.#next + RECORD;
    this.#next = off + Math.ceil(bytes.length / RECORD) * RECORD;
    return off;
  }

  /** Ends the tar. */
  async finish(): Promise<{ sha: Buffer; body: ObjectBody }> {
    this.#pack.finalize();
    await this.#ended;
    const last = this.#slabs.length - 1;
    const pieces = this.#slabs.map((slab, index) => (index === last ? slab.subarray(0, this.#filled) : slab));
    return { sha: this.#sha.digest(), body: { pieces, md5: this.#md5.digest('hex'), size: this.#size } };
  }

  #take(chunk: Buffer): void {
    this.#sha.update(chunk);
    this.#md5.update(chunk);
    this.#size += chunk.length;
    for (let at = 0; at < chunk.length; ) {
      if (this.#filled === SLAB) {
        this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
        this.#filled = 0;
      }
      const copied = chunk.copy(this.#slabs.at(-1) ?? chunk, this.#filled, at);
      this.#filled += copied;
      at += copied;
    }
  }
}
