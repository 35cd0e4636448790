import type { Line } from './lines.js';
import { decodeText } from './lines.js';

const RESTORE_THROUGH = '::restore-through::';

/** Of a description its last so many bytes are kept. */
export const MAX_DESCRIPTION_BYTES = 64 * 1024;

/**
 * What a snapshotter says on its standard output: the command in the last line that starts with
 * `::restore-through::`, and all other lines, the description. Bytes that are no UTF-8 become U+FFFD: the
 * manifest is JSON, and these are texts for people and for a shell.
 */
export class SnapshotText {
  #lines: string[] = [];
  #bytes = 0;
  #restoreThrough = '';
  #restoreThroughCut = false;

  push(line: Line): void {
    if (line.text.startsWith(RESTORE_THROUGH)) {
      this.#restoreThrough = decodeText(line.text.slice(RESTORE_THROUGH.length)).trim();
      this.#restoreThroughCut = line.cut;
      return;
    }
    this.#lines.push(line.text);
    this.#bytes += line.text.length + 1;
    // Dropped in bulk, so that a chatty program does not shift the array at every line.
    if (this.#bytes > 2 * MAX_DESCRIPTION_BYTES) this.#dropBeginning();
  }

  /** Blank lines at beginning and end taken off; undefined where nothing is left. */
  get description(): string | undefined {
    this.#dropBeginning();
    const text = decodeText(this.#lines.join('\n'))
      .replace(/^\s*\n/, '')
      .trimEnd();
    return text === '' ? undefined : text;
  }

  /** Undefined where there was none, the last was empty, or it was so long that it is not known whole. */
  get restoreThrough(): string | undefined {
    return this.#restoreThrough === '' || this.#restoreThroughCut ? undefined : this.#restoreThrough;
  }

  get restoreThroughCut(): boolean {
    return this.#restoreThroughCut;
  }

  #dropBeginning(): void {
    let from = 0;
    while (this.#bytes > MAX_DESCRIPTION_BYTES && from < this.#lines.length - 1) {
      this.#bytes -= (this.#lines[from]?.length ?? 0) + 1;
      from++;
    }
    if (from > 0) this.#lines = this.#lines.slice(from);
  }
}
