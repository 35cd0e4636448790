import { messageOf, SysbackupError } from '../errors.js';
import type { RestoreToTarOptions } from './options.js';
import { TAR_BLOCK } from './tar-header.js';

/** What tars are padded to (pax, `-b`). */
const RECORD = 20 * TAR_BLOCK;
/** GNU tar 1.34 gives up on a pipe whose writer does not write in whole blocks. */
const CHUNK = 24 * RECORD;
const ZEROS = Buffer.alloc(64 * 1024);

/** Cuts what is written into equal pieces. */
export class TarOutput {
  /** Why nothing more can be written. */
  failure: SysbackupError | undefined;
  readonly #write: RestoreToTarOptions['write'];
  readonly #chunk = Buffer.allocUnsafe(CHUNK);
  #filled = 0;
  #total = 0;

  constructor(write: RestoreToTarOptions['write']) {
    this.#write = write;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#total += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + CHUNK - this.#filled);
      this.#chunk.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === CHUNK) await this.#flush();
    }
  }

  async zeros(count: number): Promise<void> {
    for (let left = count; left > 0; left -= ZEROS.length)
      await this.write(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  }

  /** Two blocks of zeros, and more up to a whole record. */
  async end(): Promise<void> {
    const size = this.#total + 2 * TAR_BLOCK;
    await this.zeros(2 * TAR_BLOCK + ((RECORD - (size % RECORD)) % RECORD));
    await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    const full = this.#chunk.subarray(0, this.#filled);
    this.#filled = 0;
    await this.#out(full);
  }

  async #out(bytes: Uint8Array): Promise<void> {
    try {
      await this.#write(bytes);
    } catch (error) {
      this.failure =
        error instanceof SysbackupError
          ? error
          : new SysbackupError('SYSTEM', `cannot write the tar: ${messageOf(error)}`, { cause: error });
      throw this.failure;
    }
  }
}
