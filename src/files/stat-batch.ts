import type { BytePath } from './byte-path.js';
import { addressOf } from './native.js';
import { PACKED_STAT_WORDS, packedLstatAt, packedLstatWords } from './stat.js';

/** What lstat said of some paths, in their order. */
export interface StatBatch {
  /** A packed stat for each path (stat.ts), where there is no error. */
  words: Int32Array;
  /** The errno's name by the path's number, of those that failed. */
  errors: ReadonlyMap<number, string>;
}

/** lstat of each path, one after another, in the calling thread. */
export function lstatAll(paths: readonly BytePath[]): StatBatch {
  const words = new Int32Array(paths.length * PACKED_STAT_WORDS);
  const errors = new Map<number, string>();
  for (const [index, path] of paths.entries()) {
    const error = packedLstatWords(path, words, index * PACKED_STAT_WORDS);
    if (error !== undefined) errors.set(index, error);
  }
  return { words, errors };
}

/** Paths for {@link lstatPacked}: their bytes, each ended by NUL. For paths without a NUL that the kernel could take. */
export function packPaths(paths: readonly BytePath[]): Uint8Array {
  // Memory of its own, to be handed to another thread whole.
  const text = `${paths.join('\0')}\0`;
  const bytes = Buffer.allocUnsafeSlow(text.length);
  bytes.write(text, 'latin1');
  return bytes;
}

/** The same as {@link lstatAll} for packed paths. */
export function lstatPacked(paths: Uint8Array, count: number): StatBatch {
  const words = new Int32Array(count * PACKED_STAT_WORDS);
  const errors = new Map<number, string>();
  const address = addressOf(paths);
  for (let index = 0, start = 0; index < count; index++) {
    const error = packedLstatAt(address + start, words, index * PACKED_STAT_WORDS);
    if (error !== undefined) errors.set(index, error);
    start = paths.indexOf(0, start) + 1;
  }
  return { words, errors };
}
