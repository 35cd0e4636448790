import { createHash } from 'node:crypto';
import { hashFile } from '../content/hash-file.js';
import { throwIfAborted } from '../errors.js';
import type { EventListener, Problem } from '../events.js';
import { pathFromText } from '../files/byte-path.js';
import { snapshotKey } from '../manifest/keys.js';
import type { DataRef, ObjectRef, SnapshotEntry } from '../manifest/types.js';
import type { Executable } from '../sources/executables.js';
import { snapshotKeySegment } from '../sources/snapshot-key.js';
import { runSnapshotter, type SnapshotTaken } from '../sources/snapshotters.js';
import type { LockDates } from '../store/lock-dates.js';
import { snapshotMetadata } from '../store/metadata.js';
import type { ObjectBody, ObjectStore } from '../store/port.js';
import type { ContentRows } from './content-rows.js';
import type { ContentReader } from './entry-maker.js';

export interface SnapshotsOptions {
  executables: readonly Executable[];
  backupName: string;
  run: string;
  spoolFolder: string;
  env: Readonly<Record<string, string>>;
  timeoutMs: number | undefined;
  /** Bytes that each wrote last time: so much room must be there. */
  expectedSizes: Readonly<Record<string, number>>;
  store: ObjectStore;
  locks: LockDates;
  reader: ContentReader;
  content: ContentRows;
  storageClass?: string;
  report: (problem: Problem) => void;
  /** Awaited after each PUT. */
  afterPut: (version: { key: string; version: string; until: number }) => Promise<void>;
  onEvent: EventListener;
  signal?: AbortSignal;
  /** For tests: what one PUT takes. */
  putLimit?: number;
}

/** The most that one PUT takes (Amazon S3 User Guide, "Uploading objects"). */
const PUT_LIMIT = 5 * 2 ** 30;

/** Takes and stores one snapshot after the other: each may need all the room there is for its spool. */
export async function takeSnapshots(options: SnapshotsOptions): Promise<SnapshotEntry[]> {
  const entries: SnapshotEntry[] = [];
  for (const executable of options.executables) {
    throwIfAborted(options.signal);
    const { name } = executable;
    const expectedSize = options.expectedSizes[name];
    const result = await runSnapshotter({
      snapshotter: executable,
      spoolFolder: options.spoolFolder,
      env: options.env,
      onLog: (source, message, level) => options.onEvent({ type: 'log', level, message, source }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(expectedSize === undefined ? {} : { expectedSize }),
    });
    try {
      for (const problem of result.problems) options.report(problem);
      if (result.ok) entries.push(await store(result, options));
    } finally {
      await result.dispose();
    }
  }
  return entries;
}

async function store(taken: SnapshotTaken, options: SnapshotsOptions): Promise<SnapshotEntry> {
  const hashes = await hashFile(taken.path, options.signal);
  const { description, restoreThrough } = taken;
  const dat =
    hashes.size > (options.putLimit ?? PUT_LIMIT)
      ? await storeAsBlocks(taken, hashes.sha, options)
      : await storeWhole(taken, hashes, options);
  return {
    typ: 's',
    name: taken.name,
    dat,
    sha: Buffer.from(hashes.sha).toString('hex'),
    size: hashes.size,
    ...(description === undefined ? {} : { description }),
    ...(restoreThrough === undefined ? {} : { restore_through: restoreThrough }),
  };
}

async function storeWhole(
  taken: SnapshotTaken,
  { sha, md5, size }: { sha: Uint8Array; md5: string; size: number },
  options: SnapshotsOptions,
): Promise<DataRef> {
  const pieces = [{ path: taken.path, start: 0, end: size }];
  return await putSnapshot(taken, sha, { pieces, md5, size }, options);
}

/** Above the limit of one PUT: content blocks, and under the snapshot's key a small JSON that names them. */
async function storeAsBlocks(
  taken: SnapshotTaken,
  sha: Uint8Array,
  options: SnapshotsOptions,
): Promise<DataRef> {
  const blocks = options.content.collect();
  await options.reader.read(pathFromText(taken.path), {
    block: (block) => blocks.add(block),
    restart: () => blocks.clear(),
  });
  const { dat } = await blocks.settle();
  const index = Buffer.from(`${JSON.stringify({ format: 2, sha: Buffer.from(sha).toString('hex'), dat })}\n`);
  const md5 = createHash('md5').update(index).digest('hex');
  await putSnapshot(taken, sha, { bytes: index, md5, size: index.length }, options);
  return dat;
}

async function putSnapshot(
  taken: SnapshotTaken,
  sha: Uint8Array,
  body: ObjectBody,
  options: SnapshotsOptions,
): Promise<ObjectRef> {
  const { locks, storageClass, onEvent } = options;
  const key = snapshotKey(options.backupName, options.run, snapshotKeySegment(taken.name));
  const until = locks.untilFor(sha);
  const { version } = await options.store.put({
    key,
    body,
    retention: locks.retention(until),
    metadata: snapshotMetadata({
      description: taken.description ?? '',
      restoreThrough: taken.restoreThrough,
    }),
    ...(storageClass === undefined ? {} : { storageClass }),
  });
  onEvent({ type: 'stored', key, version, size: body.size, until });
  await options.afterPut({ key, version, until });
  return { key, ver: version };
}
