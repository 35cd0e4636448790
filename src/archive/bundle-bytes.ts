import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ObjectBody } from '../store/port.js';

const SLAB = 1 << 20;

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

/** Collects the bytes of a bundle in slabs of 1 MiB: it is in memory once, and what its parts came in is free to go. */
export class BundleBytes {
  readonly #pool: Slabs;
  readonly #sha = createHash('sha256');
  readonly #md5 = createHash('md5');
  readonly #slabs: Buffer[] = [];
  #crc = 0;
  #filled = SLAB;
  size = 0;

  constructor(pool: Slabs) {
    this.#pool = pool;
  }

  add(bytes: Uint8Array): void {
    this.size += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const slab = this.#slab();
      const part = bytes.subarray(at, at + SLAB - this.#filled);
      slab.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      // A slab at a time: for each small part the call would take longer than the hash.
      if (this.#filled === SLAB) this.#hash(slab);
    }
  }

  finish(): { sha: Buffer; body: ObjectBody } {
    const last = this.#slabs.at(-1)?.subarray(0, this.#filled);
    if (last !== undefined && last.length < SLAB) this.#hash(last);
    const pieces = last === undefined ? [] : [...this.#slabs.slice(0, -1), last];
    const body = { pieces, md5: this.#md5.digest('hex'), crc32: this.#crc, size: this.size };
    return { sha: this.#sha.digest(), body };
  }

  /** Its memory is free for the next one. */
  release(): void {
    this.#pool.giveBack(this.#slabs.splice(0));
  }

  /** The one to write to, with room in it. */
  #slab(): Buffer {
    const last = this.#slabs.at(-1);
    if (last !== undefined && this.#filled < SLAB) return last;
    const slab = this.#pool.take();
    this.#slabs.push(slab);
    this.#filled = 0;
    return slab;
  }

  #hash(bytes: Uint8Array): void {
    this.#sha.update(bytes);
    this.#md5.update(bytes);
    this.#crc = crc32(bytes, this.#crc);
  }
}
