import { OwnMemory } from '../own-memory.js';
import type { BytePath } from './byte-path.js';

/**
 * Paths as bytes one after another, each ended by NUL: what programs print and system calls take. A string is made of
 * one only where it is asked for, since of most paths of a machine in which little has changed none is needed.
 */
export class PackedPaths {
  /** How many there are. */
  readonly count: number;
  readonly #bytes: OwnMemory;
  readonly #ends: OwnMemory<Uint32Array>;

  /** Takes the memory over. */
  constructor(bytes: Uint8Array<ArrayBuffer>, ends: Uint32Array<ArrayBuffer>) {
    this.count = ends.length;
    this.#bytes = OwnMemory.of(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#ends = OwnMemory.of(ends);
  }

  /** All bytes. Throws after {@link release}, as all else does. */
  get bytes(): Buffer {
    return this.#bytes.view;
  }

  /** Where the NUL of each path stands. */
  get ends(): Uint32Array {
    return this.#ends.view;
  }

  /** Of paths without a NUL. */
  static of(paths: readonly BytePath[]): PackedPaths {
    const ends = new Uint32Array(paths.length);
    let end = -1;
    for (const [index, path] of paths.entries()) ends[index] = end += path.length + 1;
    const bytes = Buffer.allocUnsafeSlow(end + 1);
    if (paths.length > 0) bytes.write(`${paths.join('\0')}\0`, 'latin1');
    return new PackedPaths(bytes, ends);
  }

  start(index: number): number {
    return startOf(this.ends, index);
  }

  path(index: number): BytePath {
    return this.bytes.toString('latin1', this.start(index), this.ends[index]) as BytePath;
  }

  /** Frees the memory. */
  release(): void {
    this.#bytes.release();
    this.#ends.release();
  }

  /** All of them as strings. */
  *paths(): Generator<BytePath> {
    for (let index = 0; index < this.count; index++) yield this.path(index);
  }
}

/** Where a path begins. */
export function startOf(ends: Uint32Array, index: number): number {
  return index === 0 ? 0 : (ends[index - 1] ?? 0) + 1;
}
