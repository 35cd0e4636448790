import { MemoryBudget } from './memory-budget.js';

/** Bytes in memory that is used again once they are released. */
export interface LentBytes {
  readonly bytes: Uint8Array;
  /** To be called once nobody uses the bytes any more; more often does no harm. */
  release(): void;
}

/** Bytes that are another's once they are released: to ask for them then throws. */
export class Lent implements LentBytes {
  readonly #bytes: Uint8Array;
  readonly #takeBack: () => void;
  #isReleased = false;

  /** @param takeBack called once, when they are released */
  constructor(bytes: Uint8Array, takeBack: () => void) {
    this.#bytes = bytes;
    this.#takeBack = takeBack;
  }

  get bytes(): Uint8Array {
    if (this.#isReleased) throw new Error('lent memory is used that has been given back');
    return this.#bytes;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#takeBack();
  }
}

/** Bytes that nobody takes back. */
export function kept(bytes: Uint8Array): LentBytes {
  return { bytes, release: () => undefined };
}

/** Free memories that wait for the next taker, whatever their length. */
const MOST_FREE = 16;
/** Lengths are rounded up to it, so that one memory does for many. */
const STEP = 1 << 20;

/**
 * Memory that threads share, lent and taken back: a section of a bundle is written to it as it comes, and the threads
 * that unpack its members read it there. Fresh memory for each section would be work for the kernel, and more of it
 * for the garbage collector, which counts it as if it were the heap's.
 */
export class SectionMemory {
  readonly #budget: MemoryBudget;
  readonly #free: SharedArrayBuffer[] = [];

  /** @param capacity bytes lent at a time; who wants more waits in order */
  constructor(capacity: number) {
    this.#budget = new MemoryBudget(capacity);
  }

  async lend(length: number): Promise<LentBytes> {
    const release = await this.#budget.take(length);
    const at = this.#free.findIndex((buffer) => buffer.byteLength >= length);
    const [found] = at < 0 ? [] : this.#free.splice(at, 1);
    const buffer = found ?? new SharedArrayBuffer(Math.ceil(length / STEP) * STEP);
    return new Lent(new Uint8Array(buffer, 0, length), () => {
      if (this.#free.length < MOST_FREE) this.#free.push(buffer);
      release();
    });
  }
}
