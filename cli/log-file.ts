import { closeSync, openSync, writeSync } from 'node:fs';
import { messageOf } from '../src/index.js';

/**
 * The file of --log-to. Whatever happens to it costs no run: the first line that cannot be written is reported, and each
 * later one tried again, since somebody may make room.
 */
export class LogFile {
  readonly #path: string;
  readonly #onFailure: (message: string) => void;
  #fd: number | undefined;
  #reported = false;
  /** The last line was written in part. */
  #torn = false;

  /** @param onFailure called once */
  constructor(path: string, onFailure: (message: string) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
    this.#try(() => {
      this.#fd = openSync(path, 'a', 0o600);
    });
  }

  line(text: string): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    const bytes = Buffer.from(`${this.#torn ? '\n' : ''}${text}\n`);
    let done = 0;
    this.#try(() => {
      while (done < bytes.length) done += writeSync(fd, bytes, done);
    });
    this.#torn = done === 0 ? this.#torn : done < bytes.length;
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) this.#try(() => closeSync(fd));
  }

  #try(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (this.#reported) return;
      this.#reported = true;
      this.#onFailure(`not all messages are in ${this.#path}, which cannot be written: ${messageOf(error)}`);
    }
  }
}
