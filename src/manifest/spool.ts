import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import { SysbackupError } from '../errors.js';

const gzip = promisify(gzipCallback);

/**
 * Text repeats itself so much that a higher level buys 3 % and costs twice the time, which at the end of an
 * unchanged run is time spent waiting.
 */
const LEVEL = 5;

/** Where a block's gzip member lies in the manifest, and what is in it. */
export interface Member {
  start: number;
  /** The compressed bytes. */
  bytes: Buffer;
}

export interface SpooledManifest {
  path: string;
  size: number;
  /** Of the file, in hex. */
  md5: string;
}

/**
 * Spools a manifest to a local file: blocks of lines go in, each becomes a gzip member, in order. Compressing
 * happens on libuv's threads while the next block is made. Call {@link append} one at a time; a few blocks may be
 * under way at once.
 */
export class ManifestSpool {
  readonly path: string;
  readonly #file: WriteStream;
  readonly #lines = createHash('sha256');
  readonly #bytes = createHash('md5');
  #size = 0;
  #last: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  constructor(path: string) {
    this.path = path;
    this.#file = createWriteStream(path, { mode: 0o600 });
    this.#file.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /**
   * Appends lines (each with its newline). `member` is their compressed form where it is known already, from the
   * manifest before. Resolves when the block is handed to the file, with its place in it.
   */
  append(lines: Buffer, member?: Buffer): Promise<Member> {
    this.#lines.update(lines);
    const compressed = member === undefined ? gzip(lines, { level: LEVEL }) : Promise.resolve(member);
    const before = this.#last;
    const written = (async () => {
      const bytes = await compressed;
      await before;
      const start = this.#size;
      await this.#write(bytes);
      return { start, bytes };
    })();
    // A failure is reported by the promise returned and by finish(); here it only must not go unhandled.
    this.#last = written.catch((error: unknown) => {
      this.#failure ??= error;
    });
    return written;
  }

  /** Ends the manifest with its footer. `footer` gets the hash of all lines so far. */
  async finish(footer: (linesSha256: string) => Buffer): Promise<SpooledManifest> {
    await this.#last;
    const line = footer(this.#lines.copy().digest('hex'));
    await this.append(line);
    this.#file.end();
    if (this.#failure === undefined) await once(this.#file, 'close');
    this.#throwFailure();
    return { path: this.path, size: this.#size, md5: this.#bytes.digest('hex') };
  }

  /** Closes and removes the file; for a run that ends early. */
  async discard(): Promise<void> {
    await this.#last;
    this.#file.destroy();
    await rm(this.path, { force: true });
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#throwFailure();
    this.#size += bytes.length;
    this.#bytes.update(bytes);
    if (!this.#file.write(bytes)) {
      await Promise.race([once(this.#file, 'drain'), once(this.#file, 'close')]);
      this.#throwFailure();
    }
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    throw new SysbackupError('SYSTEM', `cannot write the manifest's spool ${this.path}`, {
      hint: 'Is there room in the state directory?',
      cause: this.#failure,
    });
  }
}

