/** Text that programs print, as lines of bounded length. */

export interface Line {
  /** One character per byte (latin-1), without its end. */
  text: string;
  /** It was longer than the limit, and its rest is gone. */
  cut: boolean;
}

/** Cuts a stream of bytes into lines; never holds more than `maxBytes` and one chunk. */
export class LineSplitter {
  readonly #separator: RegExp;
  readonly #maxBytes: number;
  #carry = '';
  #cut = false;

  /** @param separator one character, not global: `/\n/`, or `/[\r\n]/` for what may be progress bars. */
  constructor(separator: RegExp, maxBytes: number) {
    this.#separator = separator;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    const pieces = chunk.toString('latin1').split(this.#separator);
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      this.#take(piece);
      lines.push(this.#emit());
    }
    this.#take(last);
    return lines;
  }

  /** What came after the last separator. */
  end(): Line[] {
    return this.#carry === '' ? [] : [this.#emit()];
  }

  #take(piece: string): void {
    const room = this.#maxBytes - this.#carry.length;
    if (piece.length > room) this.#cut = true;
    this.#carry += piece.length > room ? piece.slice(0, room) : piece;
  }

  #emit(): Line {
    const line = { text: this.#carry, cut: this.#cut };
    this.#carry = '';
    this.#cut = false;
    return line;
  }
}

/** Latin-1 decoded bytes as the UTF-8 text they are; bytes that are none become U+FFFD. */
export function decodeText(bytes: string): string {
  return /[^\x00-\x7f]/.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** For a log: decoded, control characters (terminal sequences among them) as `\xNN`, a cut one marked by `…`. */
export function logLine(line: Line): string {
  const text = decodeText(line.text).replaceAll(
    /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return line.cut ? `${text} …` : text;
}

/** The last lines a program printed, for the message that says it failed. */
export class LastLines {
  readonly #lines: string[] = [];
  readonly #maxLines: number;
  readonly #maxChars: number;

  constructor(maxLines = 10, maxChars = 500) {
    this.#maxLines = maxLines;
    this.#maxChars = maxChars;
  }

  push(line: string): void {
    this.#lines.push(line.length > this.#maxChars ? `${line.slice(0, this.#maxChars)} …` : line);
    if (this.#lines.length > this.#maxLines) this.#lines.shift();
  }

  get text(): string {
    return this.#lines.join(' | ');
  }
}
