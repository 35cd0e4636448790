import { markerFile, readMarker } from './directory-marker.js';
import { StoreError, storeGone } from './store-error.js';

/**
 * Sees to it that what is stored goes into the store that was opened: a disk may be unmounted, or another one mounted
 * there, while a run lasts. Then its directory is another one, and what would be stored there is nobody's backup.
 */
export class MarkerWatch {
  readonly #root: string;
  readonly #id: string | undefined;
  /** The file that was last seen to say the id. */
  #file: string | undefined;

  constructor(root: string, id: string | undefined) {
    this.#root = root;
    this.#id = id;
  }

  /** One lstat where nothing has changed. Throws `NOT_FOUND`, and `USAGE` where the store was opened to be read. */
  async check(): Promise<void> {
    if (this.#id === undefined)
      throw new StoreError('USAGE', `${this.#root} was opened to be read: it has no marker file`, {
        hint: 'A program that stores opens it with `archiving`, which decides whether it is the store that it should be.',
      });
    const file = await markerFile(this.#root);
    if (file !== undefined && file === this.#file) return;
    const marker = await readMarker(this.#root);
    if (typeof marker !== 'object' || marker.id !== this.#id) throw storeGone(this.#root);
    this.#file = file;
  }
}
