import type { BytePath } from '../files/byte-path.js';
import type { PathBatch } from './path-page.js';

/** A place in the picked paths, in order. */
export class PickCursor {
  readonly #batches: Iterator<PathBatch>;
  #batch: PathBatch | undefined;
  #index = 0;
  /** Undefined at the end. */
  path: BytePath | undefined;

  constructor(batches: Iterable<PathBatch>) {
    this.#batches = batches[Symbol.iterator]();
    this.#settle();
  }

  /** Where the packed stat of the path is, in bytes and in words. */
  get stats(): Buffer {
    return this.#here.stats;
  }

  get words(): Int32Array {
    return this.#here.words;
  }

  get statAt(): number {
    return this.#here.statAt[this.#index] ?? 0;
  }

  next(): void {
    this.#index++;
    this.path = this.#batch?.paths[this.#index];
    if (this.path === undefined) this.#settle();
  }

  get #here(): PathBatch {
    if (this.#batch === undefined) throw new Error('there are no more picked paths');
    return this.#batch;
  }

  #settle(): void {
    do {
      const next = this.#batches.next();
      this.#batch = next.done === true ? undefined : next.value;
      this.#index = 0;
    } while (this.#batch?.paths.length === 0);
    this.path = this.#batch?.paths[0];
  }
}
