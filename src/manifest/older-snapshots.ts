import { SysbackupError } from '../errors.js';
import { listAll, type ListedVersion, type ObjectStore } from '../store/port.js';
import { headOfOlder } from './older-object.js';
import type { ProblemLine, SnapshotEntry } from './types.js';

const SNAPSHOTS = 'snapshots/';
/** `snapshots/<host>-<time>-<name>` or `snapshots/<time>-<name>`. */
const KEY = /^snapshots\/(?:.*-)?\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z-(.+)$/s;

/** The snapshotter's name in a snapshot's key; where the key has another form, all behind `snapshots/`. */
export function olderSnapshotName(key: string): string {
  return KEY.exec(key)?.[1] ?? key.slice(SNAPSHOTS.length);
}

/**
 * A snapshot of the older format, which names its key alone: the oldest version of it is the one that was stored
 * then, and its metadata say the rest. A problem where it is not there (any more).
 */
export async function olderSnapshot(
  store: Pick<ObjectStore, 'head' | 'list'>,
  item: unknown,
): Promise<SnapshotEntry | ProblemLine> {
  if (typeof item !== 'string' || !item.startsWith(SNAPSHOTS) || olderSnapshotName(item) === '')
    return problem('unknown-snapshot', 'the manifest names a snapshot whose key is none');
  const name = olderSnapshotName(item);
  const version = await oldestVersion(store, item);
  if (version === undefined) return problem('snapshot-missing', `the snapshot ${item} is not there`, name);
  const dat = { key: item, ver: version.version };
  try {
    const { enc, size, metadata } = await headOfOlder(store, dat);
    const { 'backup-output': description, 'restore-through': restoreThrough } = metadata;
    return {
      typ: 's',
      name,
      dat: enc === undefined ? dat : { ...dat, enc },
      ...(enc === undefined ? { size } : {}),
      ...(description === undefined ? {} : { description }),
      ...(restoreThrough === undefined ? {} : { restore_through: restoreThrough }),
    };
  } catch (error) {
    if (!(error instanceof SysbackupError) || !['DAMAGED', 'NOT_FOUND'].includes(error.code)) throw error;
    return problem('snapshot-missing', error.message, name);
  }
}

async function oldestVersion(
  store: Pick<ObjectStore, 'list'>,
  key: string,
): Promise<ListedVersion | undefined> {
  let oldest: ListedVersion | undefined;
  for await (const listed of listAll(store, { prefix: key }))
    if (listed.key === key && !listed.deleteMarker) oldest = listed;
    else if (listed.key > key) break;
  return oldest;
}

function problem(code: string, message: string, source?: string): ProblemLine {
  const line: ProblemLine = { typ: 'problem', severity: 'failure', code, message };
  return source === undefined ? line : { ...line, source };
}
