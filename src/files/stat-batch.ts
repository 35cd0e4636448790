import { addressOf } from './native.js';
import { startOf } from './packed-paths.js';
import { PACKED_STAT_WORDS, packedLstatAt } from './stat.js';

/** What lstat said of some paths, in their order. */
export interface StatBatch {
  /** A packed stat for each path (stat.ts), where there is no error. */
  words: Int32Array;
  /** The errno's name by the path's number, of those that failed. */
  errors: ReadonlyMap<number, string>;
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
  return { words, errors };
}
