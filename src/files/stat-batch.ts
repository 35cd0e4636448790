import { OwnMemory } from '../own-memory.js';
import { addressOf } from './native.js';
import { startOf } from './packed-paths.js';
import { PACKED_STAT_WORDS, packedLstatAt } from './stat.js';

/** What lstat said of some paths, in their order. */
export class StatBatch {
  /** The errno's name by the path's number, of those that failed. */
  readonly errors: ReadonlyMap<number, string>;
  readonly #words: OwnMemory<Int32Array>;

  /** Takes the words over. */
  constructor(words: Int32Array, errors: ReadonlyMap<number, string>) {
    this.#words = OwnMemory.of(words);
    this.errors = errors;
  }

  /** A packed stat for each path (stat.ts), where there is no error. Throws after {@link release}. */
  get words(): Int32Array {
    return this.#words.view;
  }

  /** Frees the words. */
  release(): void {
    this.#words.release();
  }

  /** Gives the words to another thread. */
  transfer(): { view: Int32Array; buffer: ArrayBuffer } {
    return this.#words.transfer();
  }
}

/** lstat of each path, one after another, in the calling thread. For paths whose bytes have memory of their own. */
export function lstatPacked(bytes: Uint8Array, ends: Uint32Array): StatBatch {
  const words = new Int32Array(ends.length * PACKED_STAT_WORDS);
  const errors = new Map<number, string>();
  const address = addressOf(bytes);
  for (let index = 0; index < ends.length; index++) {
    const error = packedLstatAt(address + startOf(ends, index), words, index * PACKED_STAT_WORDS);
    if (error !== undefined) errors.set(index, error);
  }
  return new StatBatch(words, errors);
}
