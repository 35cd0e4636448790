import { createCipheriv } from 'node:crypto';

/** Bytes and numbers that look random and are the same for the same seed. */
export class Random {
  readonly #cipher;
  #pool: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(seed: number) {
    const key = Buffer.alloc(16);
    key.writeUInt32LE(seed);
    this.#cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  }

  bytes(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }

  /** From 0 to 1, without 1. */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** From 0 to `limit`, without it. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** Of the normal distribution. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.fraction())) * Math.cos(2 * Math.PI * this.fraction());
  }

  uint32(): number {
    if (this.#at === this.#pool.length) {
      this.#pool = this.bytes(4096);
      this.#at = 0;
    }
    this.#at += 4;
    return this.#pool.readUInt32LE(this.#at - 4);
  }
}
