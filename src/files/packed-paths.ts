import type { BytePath } from './byte-path.js';

/**
 * Paths as bytes one after another, each ended by NUL: what programs print and system calls take. A string is made of
 * one only where it is asked for, since of most paths of a machine in which little has changed none is needed.
 */
export class PackedPaths {
  /** Memory of its own, so that it can be handed to another thread whole. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the NUL of each path stands. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly #text: Buffer;

  constructor(bytes: Uint8Array<ArrayBuffer>, ends: Uint32Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.ends = ends;
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
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

  get count(): number {
    return this.ends.length;
  }

  start(index: number): number {
    return startOf(this.ends, index);
  }

  path(index: number): BytePath {
    return this.#text.toString('latin1', this.start(index), this.ends[index]) as BytePath;
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
