import type { ListedVersion } from '../store/port.js';

const SHA_SIZE = 32;
const MD5_SIZE = 16;
const MD5_ETAG = /^[0-9a-f]{32}$/;

/**
 * The versions below `content/` that a listing shows, as far as they could be used: with an ETag that is an MD5. In
 * columns, about 90 bytes a version, since a bucket that a thousand machines share lists millions. Versions are added
 * in a listing's order: keys ascending, of one key the newest first.
 */
export class ListedContent {
  #size = 0;
  #shas = Buffer.alloc(0);
  #md5s = Buffer.alloc(0);
  #sizes = new Float64Array(0);
  #versions: string[] = [];

  add({ key, version, size, etag, deleteMarker }: ListedVersion): void {
    const hex = key.slice('content/'.length);
    if (deleteMarker || hex.length !== 2 * SHA_SIZE || etag === undefined || !MD5_ETAG.test(etag)) return;
    if (this.#size === this.#sizes.length) this.#grow();
    this.#shas.write(hex, this.#size * SHA_SIZE, 'hex');
    this.#md5s.write(etag, this.#size * MD5_SIZE, 'hex');
    this.#sizes[this.#size] = size;
    this.#versions.push(version);
    this.#size++;
  }

  /** Whether any version of this content is there. */
  has(shaHex: string): boolean {
    const sha = Buffer.from(shaHex, 'hex');
    const row = this.#firstOf(sha);
    return row < this.#size && this.#compare(row, sha) === 0;
  }

  /** The oldest version of this content with just these stored bytes. */
  find(shaHex: string, storedSize: number, md5: string): string | undefined {
    const sha = Buffer.from(shaHex, 'hex');
    const wanted = Buffer.from(md5, 'hex');
    let found: string | undefined;
    for (let row = this.#firstOf(sha); row < this.#size && this.#compare(row, sha) === 0; row++) {
      const at = row * MD5_SIZE;
      const same = wanted.compare(this.#md5s, at, at + MD5_SIZE) === 0;
      if (same && this.#sizes[row] === storedSize) found = this.#versions[row];
    }
    return found;
  }

  /** By bisection: rows are in the order of their keys. */
  #firstOf(sha: Buffer): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, sha) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compare(row: number, sha: Buffer): number {
    return this.#shas.compare(sha, 0, SHA_SIZE, row * SHA_SIZE, (row + 1) * SHA_SIZE);
  }

  #grow(): void {
    const capacity = Math.max(1024, Math.ceil(this.#size * 1.5));
    this.#shas = Buffer.concat([this.#shas], capacity * SHA_SIZE);
    this.#md5s = Buffer.concat([this.#md5s], capacity * MD5_SIZE);
    const sizes = new Float64Array(capacity);
    sizes.set(this.#sizes);
    this.#sizes = sizes;
  }
}
