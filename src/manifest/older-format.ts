import { createHash } from 'node:crypto';
import { addAbortSignal, pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { addUp } from '../add-up.js';
import { errnoOf, messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { listAll, type ObjectStore } from '../store/port.js';
import type { ManifestKey } from './keys.js';
import { LineFault } from './line-fault.js';
import { OlderCollection } from './older-collection.js';
import { OlderDocument, type OlderList } from './older-document.js';
import { olderRun } from './older-runs.js';
import { olderSnapshot } from './older-snapshots.js';
import { type ManifestFooter, type ManifestHeader, type ManifestLine, OLDER_FORMAT } from './types.js';

/** Bytes that one entry may have. */
const LONGEST_ENTRY = 1024 * 1024;
const BATCH = 1000;

/**
 * The lines of a manifest of the older format, one JSON document, in the form and order of format 2, as far as it
 * says what they say: no times, no sizes, no extended attributes, no SHA-256 of snapshots. Entries that make no
 * sense, and snapshots that are no longer there, are problems, and the footer's outcome is `partial` then. That the
 * document is whole is all that can be checked; nothing comes before that.
 *
 * The entries are held in memory, about 700 bytes each, since they need not be in order. Throws DAMAGED where it is
 * no such document to its end, NOT_FOUND, and what the store throws.
 */
export async function* readOlderManifest(
  store: Pick<ObjectStore, 'get' | 'head' | 'list'>,
  key: string,
  version: string,
  signal?: AbortSignal,
): AsyncGenerator<ManifestLine[], void> {
  const run = await findRun(store, key, version);
  const collection = new OlderCollection();
  const hash = createHash('sha256');
  const document = new OlderDocument((list, item) => collection.take(list, item), LONGEST_ENTRY);
  await scan(await store.get(key, version), key, document, {
    onBytes: (chunk) => hash.update(chunk),
    signal,
  });
  const entries = collection.inOrder();
  const { problems, snapshots } = collection;
  const counts: ManifestFooter['counts'] = { d: 0, l: 0, f: 0, s: 0, problems: 0 };
  let bytes = 0;

  yield [headerOf(run)];
  for (let at = 0; at < entries.length; at += BATCH) {
    throwIfAborted(signal);
    const batch = entries.slice(at, at + BATCH);
    for (const { typ } of batch) counts[typ] += 1;
    yield batch;
  }
  for (const item of snapshots) {
    throwIfAborted(signal);
    const line = await olderSnapshot(store, item);
    if (line.typ === 'problem') {
      problems.push(line);
      continue;
    }
    counts.s += 1;
    bytes = addUp(bytes, line.size ?? 0);
    yield [line];
  }
  if (problems.length > 0) yield problems;
  counts.problems = problems.length;
  const outcome = problems.some(({ severity }) => severity === 'failure') ? 'partial' : 'complete';
  const stored = { objects: 0, bytes: 0 };
  yield [{ typ: 'end', outcome, counts, bytes, stored, requests: {}, sha256: hash.digest('hex') }];
}

/** Whether a manifest of the older format names nothing. Reads no more of it than it takes to know. */
export async function isOlderManifestEmpty(
  store: Pick<ObjectStore, 'get'>,
  key: string,
  version: string,
): Promise<boolean> {
  const found = new Error('something is in it');
  const onItem = (list: OlderList): void => {
    if (list !== 'log') throw found;
  };
  try {
    await scan(await store.get(key, version), key, new OlderDocument(onItem, LONGEST_ENTRY));
    return true;
  } catch (error) {
    if (error === found) return false;
    throw error;
  }
}

function headerOf({ backup, run, time }: ManifestKey): ManifestHeader {
  return {
    typ: 'manifest',
    format: OLDER_FORMAT,
    backup,
    run,
    host: '',
    machine: '',
    start: new Date(time).toISOString(),
    tool: '',
    retention: null,
  };
}

async function findRun(store: Pick<ObjectStore, 'list'>, key: string, version: string): Promise<ManifestKey> {
  for await (const listed of listAll(store, { prefix: key })) {
    const run = listed.key === key && listed.version === version ? olderRun(listed) : undefined;
    if (run) return run;
  }
  throw new SysbackupError('NOT_FOUND', `there is no version ${version} of ${key}`, {
    hint: '`s3-sysbackup list` shows the runs that there are.',
  });
}

interface ScanOptions {
  onBytes?: (chunk: Buffer) => void;
  signal?: AbortSignal | undefined;
}

/** Throws what `document` makes of its items as it is, and everything else explained. */
async function scan(
  source: Readable,
  key: string,
  document: OlderDocument,
  { onBytes, signal }: ScanOptions = {},
): Promise<void> {
  if (signal) addAbortSignal(signal, source);
  try {
    for await (const chunk of unpacked(source)) {
      onBytes?.(chunk);
      document.push(chunk);
    }
    document.end();
  } catch (error) {
    throw explained(error, key);
  }
}

/** What was stored compressed begins as gzip does, and not as JSON. */
async function* unpacked(source: Readable): AsyncGenerator<Buffer, void> {
  const pieces: AsyncIterator<Buffer> = source[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done === true) return;
  const rest = { [Symbol.asyncIterator]: () => pieces };
  if (first.value[0] !== 0x1f) {
    yield first.value;
    yield* rest;
    return;
  }
  const gunzip = createGunzip();
  const all = async function* (): AsyncGenerator<Buffer, void> {
    yield first.value;
    yield* rest;
  };
  pipeline(all, gunzip, () => undefined);
  for await (const chunk of gunzip) yield chunk as Buffer;
}

function explained(error: unknown, key: string): unknown {
  if (error instanceof SysbackupError) return error;
  const isGzipFault = errnoOf(error)?.startsWith('Z_') === true;
  if (error instanceof LineFault || isGzipFault)
    return new SysbackupError(
      'DAMAGED',
      `the manifest ${key} is damaged: it ${isGzipFault ? 'is no whole gzip' : messageOf(error)}`,
      { hint: 'Use an earlier run (`s3-sysbackup list` shows them).', cause: error },
    );
  if (errnoOf(error) === 'ABORT_ERR')
    return new SysbackupError('ABORTED', `stopped while reading the manifest ${key}`, { cause: error });
  return error;
}
