/** What of a stream is used. */
export interface TextStream {
  write(text: string): unknown;
  readonly columns?: number | undefined;
}

const CLEAR_LINE = '\r\x1b[K';
const DEFAULT_COLUMNS = 80;

/**
 * Standard error: lines, and on a terminal one line below them that is drawn again and again. A new line takes the
 * place of that one, which is drawn again underneath, so that neither tears the other.
 *
 * (cli-progress cannot do that: at its end it puts the cursor back to where it began, into the lines since.)
 */
export class Screen {
  readonly #stream: TextStream;
  #status = '';

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  /** Columns that a status line can fill without being broken in two. */
  get columns(): number {
    return (this.#stream.columns ?? DEFAULT_COLUMNS) - 1;
  }

  line(text: string): void {
    this.#stream.write(this.#status === '' ? `${text}\n` : `${CLEAR_LINE}${text}\n${this.#status}`);
  }

  /** Draws the status line anew; empty: takes it away. Only for terminals. */
  status(text: string): void {
    if (text === this.#status) return;
    this.#stream.write(CLEAR_LINE + text);
    this.#status = text;
  }
}
