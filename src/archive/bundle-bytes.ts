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
    this.#sha.update(bytes);
    this.#md5.update(bytes);
    this.size += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === SLAB) {
        this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
        this.#filled = 0;
      }
      const part = bytes.subarray(at, at + SLAB - this.#filled);
      this.#slabs.at(-1)?.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
    }
  }

  finish(): { sha: Buffer; body: ObjectBody } {
    const last = this.#slabs.length - 1;
    const pieces = this.#slabs.map((slab, index) => (index === last ? slab.subarray(0, this.#filled) : slab));
    return { sha: this.#sha.digest(), body: { pieces, md5: this.#md5.digest('hex'), size: this.size } };
  }
}
