import { createHash } from 'node:crypto';
import type { ObjectBody } from '../store/port.js';

const SLAB = 1 << 20;

/** Collects the bytes of a bundle in slabs of 1 MiB: it is in memory once, and what its parts came in is free to go. */
export class BundleBytes {
  readonly #sha = createHash('sha256');
  readonly #md5 = createHash('md5');
  readonly #slabs: Buffer[] = [];
  #filled = SLAB;
  size = 0;

  add(bytes: Uint8Array): void {
    this.size += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === SLAB) this.#nextSlab();
      const part = bytes.subarray(at, at + SLAB - this.#filled);
      this.#slabs.at(-1)?.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
    }
  }

  finish(): { sha: Buffer; body: ObjectBody } {
    const last = this.#slabs.pop();
    const pieces = last === undefined ? [] : [...this.#slabs, last.subarray(0, this.#filled)];
    this.#hash(pieces.at(-1));
    return { sha: this.#sha.digest(), body: { pieces, md5: this.#md5.digest('hex'), size: this.size } };
  }

  /** Hashes by the slab: for as many parts as files, each call would cost more than the bytes do. */
  #nextSlab(): void {
    this.#hash(this.#slabs.at(-1));
    this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
    this.#filled = 0;
  }

  #hash(slab: Buffer | undefined): void {
    if (slab === undefined) return;
    this.#sha.update(slab);
    this.#md5.update(slab);
  }
}
