import { bundledSize, MAX_BUNDLE_BYTES, TAR_END } from './bundle-tar.js';
import { MAX_MEMBERS } from './bundler.js';

/**
 * How many bundles small files take, if none of them can be compressed and none is stored already. A run also sends a
 * bundle that is not full when too many entries wait for it, so a bundle counts as ended after as many entries.
 */
export class BundleForecast {
  count = 0;
  /** Of all of them. */
  bytes = 0;
  #bytes = 0;
  #members = 0;
  #entries = 0;

  add(size: number): void {
    if (this.#members === 0) {
      this.count++;
      this.bytes += TAR_END;
    }
    this.#members++;
    this.#bytes += bundledSize(size);
    this.bytes += bundledSize(size);
    if (this.#bytes >= MAX_BUNDLE_BYTES || this.#members >= MAX_MEMBERS) this.#end();
  }

  /** So many entries, these files' among them, were given out. */
  pass(entries: number): void {
    this.#entries += entries;
    if (this.#entries >= MAX_MEMBERS) this.#end();
  }

  #end(): void {
    this.#bytes = 0;
    this.#members = 0;
    this.#entries = 0;
  }
}
