import { errnoOf } from '../src/index.js';

/**
 * Standard output, for data. When whoever reads it goes away (`| head`) what is written is dropped without a word:
 * a backup goes on, and a listing has nothing left to do anyway.
 */
export class StandardOutput {
  readonly #stream: NodeJS.WriteStream;
  #closed = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', (error) => {
      if (errnoOf(error) !== 'EPIPE') throw error;
      this.#closed = true;
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  line(text: string): void {
    if (!this.#closed) this.#stream.write(`${text}\n`);
  }

  /** One line of JSON. */
  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  /** Resolves when everything written has gone out. */
  async flush(): Promise<void> {
    if (this.#closed || this.#stream.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.write('', () => resolve());
    });
  }
}
