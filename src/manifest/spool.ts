import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip as gunzipCallback, gzip as gzipCallback } from 'node:zlib';
import { messageOf, SysbackupError } from '../errors.js';
import { type Member, memberHash } from './member.js';

const gzip = promisify(gzipCallback);
const gunzip = promisify(gunzipCallback);

/**
 * Text repeats itself so much that a higher level buys 3 % and costs twice the time, which at the end of an
 * unchanged run is time spent waiting.
 */
const LEVEL = 5;

/** The least that zlib takes as the size of a piece. */
const LEAST_PIECE = 64;

/** What takes a manifest's lines: a {@link ManifestSpool} in this thread or in another. */
export interface ManifestSink {
  readonly path: string;
  /** Takes lines, each with its newline. The caller's bytes are not to be used any more. */
  append(lines: Buffer): Promise<Member>;
  /** Takes lines that are compressed already: a gzip member of another manifest. As {@link append} for the rest. */
  carry(member: Buffer, linesLength: number): Promise<Member>;
  /** Ends the manifest with its footer. `footer` gets the hash of all lines so far. */
  finish(footer: (linesSha256: string) => Buffer): Promise<SpooledManifest>;
  /** Closes and removes the file; for a run that ends early. */
  discard(): Promise<void>;
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
export class ManifestSpool implements ManifestSink {
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

  append(lines: Buffer): Promise<Member> {
    return this.#add(gzip(lines, { level: LEVEL }), Promise.resolve(lines));
  }

  carry(member: Buffer, linesLength: number): Promise<Member> {
    // In one piece: in those of 16 KiB that are usual, most of the time goes into handing them over.
    const chunkSize = Math.max(LEAST_PIECE, linesLength + 1);
    const lines = gunzip(member, { chunkSize, maxOutputLength: Math.max(1, linesLength) });
    return this.#add(Promise.resolve(member), lines);
  }

  async finish(footer: (linesSha256: string) => Buffer): Promise<SpooledManifest> {
    const sha256 = await this.linesSha256();
    await this.append(footer(sha256));
    return await this.close();
  }

  /** SHA-256 of all lines so far, in hex. */
  async linesSha256(): Promise<string> {
    await this.#last;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#lines.copy().digest('hex');
  }

  async close(): Promise<SpooledManifest> {
    await this.#last;
    if (this.#failure !== undefined) throw this.#failure;
    await this.#file.close();
    return { path: this.path, size: this.#size, md5: this.#bytes.digest('hex') };
  }

  async discard(): Promise<void> {
    await this.#last;
    await this.#file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }

  #add(member: Promise<Buffer>, lines: Promise<Buffer>): Promise<Member> {
    const before = this.#last;
    const written = (async () => {
      const [bytes, unpacked] = await Promise.all([member, lines, before]);
      if (this.#failure !== undefined) throw this.#failure;
      this.#lines.update(unpacked);
      const start = this.#size;
      await this.#write(bytes);
      return { start, length: bytes.length, hash: memberHash(bytes) };
    })();
    // A failure is reported by the promise returned and by finish(); here it only must not go unhandled.
    this.#last = written.catch((error: unknown) => {
      this.#failure ??= error;
    });
    return written;
  }

  async #write(bytes: Buffer): Promise<void> {
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
