import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip as gunzipCallback, gunzipSync, gzip as gzipCallback, type ZlibOptions } from 'node:zlib';
import { messageOf, SysbackupError } from '../errors.js';
import { OwnMemory } from '../own-memory.js';
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

/** In the calling thread. What fails is told as it is of the others: by the promise. */
async function gunzipHere(member: Buffer, options: ZlibOptions): Promise<Buffer> {
  return gunzipSync(member, options);
}

/** What zlib makes, which may be shorter than its buffer. */
async function made(bytes: Promise<Buffer>): Promise<OwnMemory> {
  return OwnMemory.ofOnlyView(await bytes);
}

/** What takes a manifest's lines: a {@link ManifestSpool} in this thread or in another. */
export interface ManifestSink {
  readonly path: string;
  /** Takes lines, each with its newline, and frees them. */
  append(lines: OwnMemory): Promise<Member>;
  /** Takes lines that are compressed already: a gzip member of another manifest. As {@link append} for the rest. */
  carry(member: OwnMemory, linesLength: number): Promise<void>;
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
  readonly #fd: number;
  #closed = false;
  readonly #waits: boolean;
  readonly #lines = createHash('sha256');
  readonly #bytes = createHash('md5');
  #size = 0;
  #last: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  /**
   * Throws SYSTEM where the file cannot be made.
   *
   * @param waits whether members are unpacked in the calling thread, which costs less and is for one of its own
   */
  constructor(path: string, waits = false) {
    this.path = path;
    this.#waits = waits;
    this.#fd = this.#orFail(() => openSync(path, 'w', 0o600));
  }

  async append(lines: OwnMemory): Promise<Member> {
    const member = await this.#add(made(gzip(lines.view, { level: LEVEL })), lines);
    const { view } = member;
    const known = { length: view.length, hash: memberHash(view) };
    member.release();
    return known;
  }

  async carry(member: OwnMemory, linesLength: number): Promise<void> {
    // In one piece: in those of 16 KiB that are usual, most of the time goes into handing them over.
    const chunkSize = Math.max(LEAST_PIECE, linesLength + 1);
    const options = { chunkSize, maxOutputLength: Math.max(1, linesLength) };
    const unpacked = this.#waits ? gunzipHere(member.view, options) : gunzip(member.view, options);
    await this.#add(member, made(unpacked));
    member.release();
  }

  async finish(footer: (linesSha256: string) => Buffer): Promise<SpooledManifest> {
    const sha256 = await this.linesSha256();
    await this.append(OwnMemory.of(footer(sha256)));
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
    this.#closed = true;
    this.#orFail(() => closeSync(this.#fd));
    return { path: this.path, size: this.#size, md5: this.#bytes.digest('hex') };
  }

  async discard(): Promise<void> {
    await this.#last;
    if (!this.#closed) closeSync(this.#fd);
    await rm(this.path, { force: true });
  }

  #add(member: OwnMemory | Promise<OwnMemory>, lines: OwnMemory | Promise<OwnMemory>): Promise<OwnMemory> {
    const before = this.#last;
    const written = (async () => {
      const [packed, unpacked] = await Promise.all([member, lines, before]);
      if (this.#failure !== undefined) throw this.#failure;
      this.#lines.update(unpacked.view);
      unpacked.release();
      const bytes = packed.view;
      this.#bytes.update(bytes);
      this.#size += bytes.length;
      this.#orFail(() => {
        for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      });
      return packed;
    })();
    // A failure is reported by the promise returned and by finish(); here it only must not go unhandled.
    this.#last = written.catch((error: unknown) => {
      this.#failure ??= error;
    });
    return written;
  }

  #orFail<Value>(step: () => Value): Value {
    try {
      return step();
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
