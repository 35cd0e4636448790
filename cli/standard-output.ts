import { errnoOf, SysbackupError } from '../src/index.js';

/**
 * Standard output, for data. When whoever reads it goes away (`| head`) what is written is dropped without a word:
 * a backup goes on, and a listing has nothing left to do anyway. Any other failure, a full disk say, is kept for the
 * end, so that no backup stops for it and no listing that was cut short seems whole.
 */
export class StandardOutput {
  readonly #stream: NodeJS.WriteStream;
  #closed = false;
  #failure: Error | undefined;
  /** What is written here is what the command is for: one that cannot be written whole is no success. */
  isProduct = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#closed = true;
      if (errnoOf(error) !== 'EPIPE') this.#failure ??= error;
    });
  }

  /** Why not all of it could be written, if nobody closed it. To be asked after {@link flush}. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Of the terminal that it is; undefined where it is none, and lines have any length. */
  get columns(): number | undefined {
    return this.#stream.isTTY ? this.#stream.columns : undefined;
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  write(text: string): void {
    if (!this.#closed) this.#stream.write(text);
  }

  /** Whether nobody reads any more: a listing may end. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Writes, and resolves when it has gone out and the bytes are no longer needed: for output of any length. */
  async send(data: string | Uint8Array): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve());
    });
  }

  /** Whether a person would see what is written. */
  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /**
   * Resolves when these bytes have gone out and more can be taken. Unlike text they are no use in part: rejects where
   * nobody reads them any more.
   */
  async bytes(chunk: Uint8Array): Promise<void> {
    if (this.#closed) throw this.#failure ?? closedByReader();
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** One line of JSON. */
  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  /** Resolves when everything written has gone out. */
  async flush(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.write('', () => resolve());
    });
  }
}

function closedByReader(): Error {
  return new SysbackupError('SYSTEM', 'cannot write to standard output: whoever read it has gone');
}
