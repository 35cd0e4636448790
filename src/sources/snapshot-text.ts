import { decodeText } from './lines.js';

const RESTORE_THROUGH = '::restore-through::';

/** Of a description its last so many bytes are kept: it is for people, and more is a dump that went the wrong way. */
export const MAX_DESCRIPTION_BYTES = 4 * 1024;
/** A longer line that begins as a command does is left out. */
export const MAX_COMMAND_BYTES = 64 * 1024;

/**
 * What a snapshotter says on its standard output: the command in the last line that starts with
 * `::restore-through::`, and all else, the description. Bytes that are no UTF-8 become U+FFFD: the manifest is JSON,
 * and these are texts for people and for a shell. Holds little, whatever is printed.
 */
export class SnapshotText {
  /** The line under way; of one that is part of the description no more than what might begin a command. */
  #line = '';
  #lineIs: 'open' | 'command' | 'description' = 'open';
  #lineCut = false;
  #description = '';
  #described = 0;
  #restoreThrough = '';
  #restoreThroughCut = false;

  push(chunk: Buffer): void {
    const pieces = chunk.toString('latin1').split('\n');
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      this.#add(piece);
      this.#endLine();
      if (this.#lineIs !== 'command') this.#describe('\n');
      this.#lineIs = 'open';
    }
    this.#add(last);
  }

  /** No more comes. */
  end(): void {
    this.#endLine();
  }

  /** Bytes printed beside commands. */
  get described(): number {
    return this.#described;
  }

  /** The end of it where it was long, blank lines at beginning and end taken off; undefined where nothing is left. */
  get description(): string | undefined {
    let kept = this.#description.slice(-MAX_DESCRIPTION_BYTES);
    // It may begin within a character.
    if (this.#described > kept.length) kept = kept.replace(/^[\x80-\xbf]{1,3}/, '');
    const text = decodeText(kept)
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

  #add(piece: string): void {
    if (this.#lineIs === 'description') {
      this.#describe(piece);
      return;
    }
    const room = MAX_COMMAND_BYTES - this.#line.length;
    this.#lineCut ||= piece.length > room;
    this.#line += piece.length > room ? piece.slice(0, room) : piece;
    if (this.#lineIs === 'command' || RESTORE_THROUGH.startsWith(this.#line)) return;
    if (this.#line.startsWith(RESTORE_THROUGH)) {
      this.#lineIs = 'command';
      return;
    }
    // Not by way of the line, which may have been cut.
    const before = this.#line.slice(0, this.#line.length - Math.min(piece.length, room));
    this.#lineIs = 'description';
    this.#describe(before);
    this.#describe(piece);
    this.#line = '';
    this.#lineCut = false;
  }

  #endLine(): void {
    if (this.#lineIs === 'command' || this.#line === RESTORE_THROUGH) {
      this.#lineIs = 'command';
      this.#restoreThrough = decodeText(this.#line.slice(RESTORE_THROUGH.length)).trim();
      this.#restoreThroughCut = this.#lineCut;
    } else this.#describe(this.#line);
    this.#line = '';
    this.#lineCut = false;
  }

  #describe(text: string): void {
    this.#described += text.length;
    this.#description += text;
    if (this.#description.length > 16 * MAX_DESCRIPTION_BYTES)
      this.#description = this.#description.slice(-MAX_DESCRIPTION_BYTES);
  }
}
