import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { hashFile } from '../content/hash-file.js';
import { messageOf, throwIfAborted } from '../errors.js';
import type { Problem } from '../events.js';
import { pathFromText } from '../files/byte-path.js';
import { checkedLine } from '../manifest/checked-line.js';
import { snapshotKey } from '../manifest/keys.js';
import { LineFault } from '../manifest/line-fault.js';
import type { ObjectRef, SnapshotEntry } from '../manifest/types.js';
import { findExecutables } from '../sources/executables.js';
import { snapshotKeySegment } from '../sources/snapshot-key.js';
import { runSnapshotter, type SnapshotTaken } from '../sources/snapshotters.js';
import { snapshotMetadata } from '../store/metadata.js';
import type { ObjectBody } from '../store/port.js';
import { cureOf } from './entry-problems.js';
import { whyNameIsUnfit } from './snapshot-name.js';
import type { Workshop } from './workshop.js';

/** The most that one PUT takes (Amazon S3 User Guide, "Uploading objects"). */
const PUT_LIMIT = 5 * 2 ** 30;

/** Takes and stores one snapshot after the other: each may need all the room there is for its spool. */
export async function takeSnapshots(workshop: Workshop): Promise<SnapshotEntry[]> {
  const { options, state, recalled, problems, onEvent } = workshop.start;
  const { settings, env, uid, signal, putLimit = PUT_LIMIT } = options;
  const { timeout, allowEmpty } = settings.programs;
  const { executables } = await findExecutables(join(settings.confDir, 'snapshots.d'), { uid });
  const entries: SnapshotEntry[] = [];
  const names = new Set<string>();
  for (const snapshotter of executables) {
    throwIfAborted(signal);
    const { name } = snapshotter;
    const unfit = names.has(name)
      ? 'another one has the same name as it is shown'
      : whyNameIsUnfit(name, keyOf(name, workshop), settings.destination);
    names.add(name);
    if (unfit !== undefined) {
      problems.add(failure('snapshot-name', name, `was not started: ${unfit}. Rename it`));
      continue;
    }
    const result = await runSnapshotter({
      snapshotter,
      spoolFolder: state.spoolPath,
      env,
      mayBeEmpty: allowEmpty.includes(snapshotter.name),
      expectedSize: recalled.catalog?.head.snapshots[snapshotter.name],
      onLog: (source, message, level) => onEvent({ type: 'log', level, message, source }),
      ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      for (const problem of result.problems) problems.add(problem);
      if (result.ok) entries.push(await storeChecked(result, workshop, putLimit));
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      problems.add(failure('line-refused', snapshotter.name, refused(error)));
    } finally {
      await result.dispose().catch((error: unknown) => warnOfSpool(error, workshop));
    }
  }
  return entries;
}

function failure(code: string, name: string, what: string): Problem {
  return { severity: 'failure', code, message: `snapshotter ${name} ${what}`, source: name };
}

function refused({ message }: LineFault): string {
  return `wrote what is not in this backup: its line in the manifest ${message}`;
}

/** It is in the state directory, whose spools the next run removes. */
function warnOfSpool(error: unknown, { start }: Workshop): void {
  const message = `the spool of a snapshot cannot be removed, and is tried again by the next run: ${messageOf(error)}`;
  start.onEvent({ type: 'log', level: 'warning', message });
}

/** Throws a {@link LineFault} where no reader would take the snapshot's line. */
async function storeChecked(
  taken: SnapshotTaken,
  workshop: Workshop,
  putLimit: number,
): Promise<SnapshotEntry> {
  const entry = await store(taken, workshop, putLimit);
  try {
    checkedLine(entry);
  } catch (error) {
    throw error instanceof LineFault ? new LineFault(error.message + cureOf(entry)) : error;
  }
  return entry;
}

async function store(taken: SnapshotTaken, workshop: Workshop, putLimit: number): Promise<SnapshotEntry> {
  const hashes = await hashFile(taken.path, workshop.start.options.signal);
  const { name, description, restoreThrough } = taken;
  const stored = await (hashes.size > putLimit
    ? storeAsBlocks(taken, hashes.sha, workshop)
    : storeWhole(taken, hashes, workshop));
  return {
    typ: 's',
    name,
    ...stored,
    sha: Buffer.from(hashes.sha).toString('hex'),
    size: hashes.size,
    ...(description === undefined ? {} : { description }),
    ...(restoreThrough === undefined ? {} : { restore_through: restoreThrough }),
  };
}

async function storeWhole(
  taken: SnapshotTaken,
  { sha, md5, size }: { sha: Uint8Array; md5: string; size: number },
  workshop: Workshop,
): Promise<Pick<SnapshotEntry, 'dat' | 'index'>> {
  const pieces = [{ path: taken.path, start: 0, end: size }];
  return { dat: await putSnapshot(taken, sha, { pieces, md5, size }, workshop) };
}

/** Above the limit of one PUT: content blocks, and under the snapshot's key a small JSON that names them. */
async function storeAsBlocks(
  taken: SnapshotTaken,
  sha: Uint8Array,
  workshop: Workshop,
): Promise<Pick<SnapshotEntry, 'dat' | 'index'>> {
  const blocks = workshop.rows.collect();
  await workshop.pool.read(pathFromText(taken.path), blocks);
  const { dat } = await blocks.settle();
  const json = Buffer.from(`${JSON.stringify({ format: 2, sha: Buffer.from(sha).toString('hex'), dat })}\n`);
  const md5 = createHash('md5').update(json).digest('hex');
  const index = await putSnapshot(taken, sha, { bytes: json, md5, size: json.length }, workshop);
  return { dat, index };
}

function keyOf(name: string, { identity, start }: Workshop): string {
  return snapshotKey(start.options.settings.backupName, identity.run, snapshotKeySegment(name));
}

async function putSnapshot(
  taken: SnapshotTaken,
  sha: Uint8Array,
  body: ObjectBody,
  workshop: Workshop,
): Promise<ObjectRef> {
  const { locks, lockKeeper, start, storageClass } = workshop;
  const key = keyOf(taken.name, workshop);
  const until = locks.untilFor(sha);
  const { description = '', restoreThrough } = taken;
  const { version } = await start.store.put({
    key,
    body,
    retention: locks.retention(until),
    metadata: snapshotMetadata({ description, restoreThrough }),
    ...storageClass,
  });
  start.onEvent({ type: 'stored', key, version, size: body.size, until });
  lockKeeper.add({ key, version, until });
  // Snapshots can take days, and the first locks with them.
  await lockKeeper.keepUp();
  return { key, ver: version };
}
