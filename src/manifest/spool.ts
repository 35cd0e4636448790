import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import { messageOf, SysbackupError } from '../errors.js';

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
  readonly #file: FileHandle;
  readonly #lines = createHash('sha256');
  readonly #bytes = createHash('md5');
  #size = 0;
  #last: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async create(path: string): Promise<ManifestSpool> {
    return new ManifestSpool(path, await open(path, 'w', 0o600));
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
    await this.#file.close();
    return { path: this.path, size: this.#size, md5: this.#bytes.digest('hex') };
  }

  /** Closes and removes the file; for a run that ends early. */
  async discard(): Promise<void> {
    await this.#last;
    await this.#file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const start = this.#size;
    this.#size += bytes.length;
    this.#bytes.update(bytes);
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await this.#file.write(bytes, done, bytes.length - done, start + done)).bytesWritten;
      }
    } catch (error) {
      throw new SysbackupError(
        'SYSTEM',
        `cannot write the manifest's spool ${this.path}: ${messageOf(error)}`,
        {
          hint: 'Is there room in the state directory?',
          cause: error,
        },
      );
    }
  }
}
