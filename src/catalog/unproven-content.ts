import { type ObjectRecord, ObjectTable } from './object-table.js';

/** A version that a manifest names, and what the store says of its bytes. */
export interface UnprovenRecord extends ObjectRecord {
  /** Bytes as stored, and their MD5: 16 bytes. */
  size: number;
  md5: Buffer;
}

const MD5_SIZE = 16;

/**
 * Content objects that were read back from a manifest after the catalog was lost. Whoever may add could have stored
 * that manifest, so that one of them is used only once this machine has read the same content itself and its stored
 * form is those very bytes. In columns, about 120 bytes a version.
 */
export class UnprovenContent {
  readonly #table = new ObjectTable();
  #md5s = Buffer.alloc(0);
  #sizes = new Float64Array(0);

  get size(): number {
    return this.#table.size;
  }

  /** @param bytes have the SHA-256 of the content at `offset` */
  add(bytes: Uint8Array, offset: number, record: UnprovenRecord): void {
    const row = this.#table.set(bytes, offset, record);
    if (row >= this.#sizes.length) this.#grow(row + 1);
    record.md5.copy(this.#md5s, row * MD5_SIZE, 0, MD5_SIZE);
    this.#sizes[row] = record.size;
  }

  /** The version that holds the content whose stored form has this length and MD5; undefined where none does. */
  find(sha: Uint8Array, storedSize: number, md5Hex: string): ObjectRecord | undefined {
    const row = this.#table.find(sha);
    if (row < 0 || this.#sizes[row] !== storedSize) return undefined;
    const at = row * MD5_SIZE;
    if (Buffer.from(md5Hex, 'hex').compare(this.#md5s, at, at + MD5_SIZE) !== 0) return undefined;
    return this.#record(row);
  }

  /** All of them; the SHA-256 is a view, not to be kept. */
  *records(): Generator<UnprovenRecord & { sha: Buffer }> {
    for (let row = 0; row < this.#table.size; row++) {
      const md5 = Buffer.from(this.#md5s.subarray(row * MD5_SIZE, (row + 1) * MD5_SIZE));
      yield { ...this.#record(row), size: this.#sizes[row] ?? 0, md5, sha: this.#table.sha(row) };
    }
  }

  #record(row: number): ObjectRecord {
    const table = this.#table;
    const size = this.#sizes[row] ?? 0;
    return { version: table.version(row), enc: table.encoding(row), until: table.until(row), size };
  }

  #grow(atLeast: number): void {
    const capacity = Math.max(256, Math.ceil(atLeast * 1.5));
    this.#md5s = Buffer.concat([this.#md5s], capacity * MD5_SIZE);
    const sizes = new Float64Array(capacity);
    sizes.set(this.#sizes);
    this.#sizes = sizes;
  }
}
