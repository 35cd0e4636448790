import { addAbortSignal, pipeline, type Readable, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';
import { FOOTER_REACH, lastGzipMember } from './footer.js';
import { parseManifestKey } from './keys.js';
import { LazyLine } from './lazy-line.js';
import { LineCheck } from './line-check.js';
import { LineFault } from './line-fault.js';
import { LONGEST_LINE } from './lines.js';
import { LineSplitter } from './line-splitter.js';
import { readOlderManifest } from './older-format.js';
import { isOlderManifest } from './older-runs.js';
import { peekEntry } from './peek.js';
import type { ManifestLine } from './types.js';

export interface ReadManifestOptions {
  /** Gets each piece of the compressed bytes as they come: to keep a copy. */
  onBytes?: ((chunk: Buffer) => void | Promise<void>) | undefined;
  /** Skip what was found right in the very same bytes before: SHA-256 and the place of the footer. Default false. */
  verifiedBefore?: boolean;
  /** Bytes a line may have. Default 64 MiB, beyond which this program writes none. */
  longestLine?: number;
  signal?: AbortSignal | undefined;
}

/** What reading a manifest takes; `head` and `list` only for the older format. */
export type ManifestStore = Pick<ObjectStore, 'get' | 'head' | 'list'>;

const CHUNK = 256 * 1024;

/**
 * The lines of one manifest in their order, header and footer included, in batches (a promise a line would cost
 * more than the line). Each line is checked, and at the end all of them against the footer: only when the
 * iteration has ended without an error is what it gave known to be the manifest that was written. Who acts on
 * lines before that wants {@link fetchManifest}.
 *
 * A manifest of the older format is given the same form: see {@link readOlderManifest}. `onBytes` gets none of it.
 *
 * Throws DAMAGED, naming the line, where anything is not as it must be, and what the store throws.
 */
export async function* readManifest(
  store: ManifestStore,
  key: string,
  version: string,
  options: ReadManifestOptions = {},
): AsyncGenerator<ManifestLine[], void> {
  if (isOlderManifest(key)) yield* readOlderManifest(store, key, version, options.signal);
  else yield* readManifestBytes(await store.get(key, version), key, options);
}

/** {@link readManifest} for bytes from anywhere; `key` is the key they were stored under. */
export function readManifestBytes(
  source: Readable,
  key: string,
  options: ReadManifestOptions = {},
): AsyncGenerator<ManifestLine[], void> {
  return readLines(source, key, options, (check, bytes) => check.take(bytes));
}

/**
 * As {@link readManifest}, for whoever wants few of the lines: an entry's is parsed when it is asked for, and of the
 * others only kind and path are looked at. All of them are hashed, so that the end proves as much as it does there,
 * except that each line of these makes sense.
 */
export async function* readLazily(
  store: ManifestStore,
  key: string,
  version: string,
  options: Pick<ReadManifestOptions, 'signal'> = {},
): AsyncGenerator<LazyLine[], void> {
  if (isOlderManifest(key))
    for await (const lines of readOlderManifest(store, key, version, options.signal))
      yield lines.map((line) => LazyLine.of(line));
  else
    yield* readLines(await store.get(key, version), key, options, (check, bytes) => {
      const entry = peekEntry(bytes);
      if (!entry) return LazyLine.of(check.take(bytes));
      check.pass(bytes, entry);
      const number = check.lineNumber;
      return new LazyLine(entry, bytes, (error) => explained(error, key, number));
    });
}

/** Each line is handed to `take` with a view of its bytes, which stays as it is. */
async function* readLines<T>(
  source: Readable,
  key: string,
  options: ReadManifestOptions,
  take: (check: LineCheck, bytes: Buffer) => T,
): AsyncGenerator<T[], void> {
  const check = new LineCheck(options.verifiedBefore !== true);
  const splitter = new LineSplitter(options.longestLine ?? LONGEST_LINE);
  const tail = new Tail();
  const gunzip = createGunzip({ chunkSize: CHUNK });
  // A failure anywhere destroys all three, so that it comes out of the iteration below.
  pipeline(source, tap(tail, options.onBytes), gunzip, () => undefined);
  // Behind it: on Node 24 a pipeline refuses a stream that is destroyed already, whose error then reaches nobody.
  if (options.signal) addAbortSignal(options.signal, gunzip);
  try {
    for await (const chunk of gunzip) {
      const lines = splitter.push(chunk);
      if (!lines) {
        check.lineNumber += 1;
        throw new LineFault('is longer than any line may be');
      }
      if (lines.length > 0) yield lines.map((line) => take(check, line));
    }
    finish(check, splitter.pending, key);
    if (options.verifiedBefore !== true) footerStandsAlone(check, tail);
  } catch (error) {
    throw explained(error, key, check.lineNumber);
  }
}

function tap(tail: Tail, onBytes: ReadManifestOptions['onBytes']): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      tail.push(chunk);
      const kept = onBytes?.(chunk);
      if (kept === undefined) done(null, chunk);
      else kept.then(() => done(null, chunk), done);
    },
  });
}

function finish(check: LineCheck, pending: number, key: string): void {
  if (!check.footer || pending > 0) {
    check.lineNumber += 1;
    throw new LineFault(
      check.footer ? 'comes after the footer' : 'is the end, and no footer has come before it',
    );
  }
  const named = parseManifestKey(key);
  if (!named) return;
  const { header, footer } = check;
  // A manifest stored again under another key would pass for another run, or another machine's.
  if (header?.backup !== named.backup || header.run !== named.run || footer.outcome !== named.outcome)
    throw new LineFault(
      `ends the manifest of ${header?.backup}, run ${header?.run} (${footer.outcome}), which is not what its key says`,
    );
}

/** What a range read of the end tells must be what the lines say, and nothing may follow that zlib overlooks. */
function footerStandsAlone(check: LineCheck, tail: Tail): void {
  const member = lastGzipMember(tail.bytes());
  if (!member || !check.footerBytes?.equals(member))
    throw new LineFault('is a footer that is not alone in the last gzip member');
}

/** The last bytes of a stream. */
class Tail {
  private chunks: Buffer[] = [];
  private length = 0;

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
    for (let first = this.chunks[0]; first && this.length - first.length >= FOOTER_REACH; ) {
      this.chunks.shift();
      this.length -= first.length;
      first = this.chunks[0];
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.chunks).subarray(-FOOTER_REACH);
  }
}

function explained(error: unknown, key: string, lineNumber: number): Error {
  if (error instanceof SysbackupError) return error;
  const hint = 'Use an earlier run (`s3-sysbackup list` shows them); nothing of this one can be trusted.';
  if (error instanceof LineFault)
    return new SysbackupError(
      'DAMAGED',
      `the manifest ${key} is damaged: line ${lineNumber} ${error.message}`,
      {
        hint,
      },
    );
  if (errnoOf(error)?.startsWith('Z_'))
    return new SysbackupError(
      'DAMAGED',
      `the manifest ${key} is damaged: it is no whole gzip after line ${lineNumber} (${messageOf(error)})`,
      { hint, cause: error },
    );
  if (errnoOf(error) === 'ABORT_ERR')
    return new SysbackupError('ABORTED', `stopped while reading the manifest ${key}`, { cause: error });
  return new SysbackupError('STORE_FAILED', `reading the manifest ${key} failed: ${messageOf(error)}`, {
    cause: error,
  });
}
