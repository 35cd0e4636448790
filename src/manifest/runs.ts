import type { EventListener } from '../events.js';
import {
  type HiddenData,
  isSameObject,
  listAll,
  type ListedVersion,
  type ObjectStore,
} from '../store/port.js';
import { type HiddenRun, hiddenRunLines, hiddenRunOf } from './hidden-runs.js';
import { type ManifestKey, manifestPrefix, MANIFESTS, parseManifestKey } from './keys.js';
import { olderManifestKey, olderRun } from './older-runs.js';
import { MANIFEST_FORMAT, OLDER_FORMAT } from './types.js';

/** One run, as a listing alone tells of it. */
export interface StoredRun extends ManifestKey {
  /** 1: the older format, which says neither outcome nor machine: `complete` and empty here. */
  format: typeof MANIFEST_FORMAT | typeof OLDER_FORMAT;
  key: string;
  /** The version that counts: the oldest of this key; in the older format each version is a run. */
  version: string;
  /** Bytes of the stored manifest. */
  size: number;
  /** When the store received the manifest: milliseconds since the epoch. */
  received: number;
}

export interface ListRunsOptions {
  /** Only runs of this backup name. */
  backup?: string | undefined;
  /** Whether to leave out runs of the older format, which lie under a key of their own: one listing less. */
  withoutOlder?: boolean;
  onEvent?: EventListener | undefined;
  /** Gets the manifests that are there and cannot be used for want of a readable sidecar. Default: each is a warning. */
  onHidden?: ((runs: HiddenRun[]) => void) | undefined;
}

/** By which a run's own time may lie after the store's receipt of its manifest before that is remarkable. */
export const FUTURE_MS = 24 * 60 * 60 * 1000;

/**
 * The runs of a store in the order in which their manifests were received, from listings of `manifests/` alone.
 *
 * Everyone with the right to back up can add versions and keys there, so of each key, and of each run id within
 * one backup name, the oldest version counts; what was added later is reported as a warning, unless it has the same
 * bytes as a PUT sent twice leaves them, and never read. The order is the store's: the time in a run id is whatever
 * the machine wrote. A manifest whose sidecar (in a directory) cannot be read is no run here, and never passed over in
 * silence: see `onHidden`. In the older format (one key for all runs of a backup name, a version for each) there is no such
 * protection.
 */
export async function listRuns(
  store: Pick<ObjectStore, 'list'>,
  options: ListRunsOptions = {},
): Promise<StoredRun[]> {
  const oldest = new Map<string, { run: StoredRun; listed: ListedVersion }>();
  const added = new Map<string, number>();
  const hidden = new Map<string, HiddenRun>();
  const hide = (data: HiddenData): void => {
    const run = hiddenRunOf(data);
    if (run !== undefined) hidden.set(data.sidecar, run);
  };
  for await (const listed of listManifests(store, options, hide)) {
    const run = listed.deleteMarker ? undefined : runOf(listed);
    if (!run) continue;
    const id = `${run.backup}/${run.run}`;
    const known = oldest.get(id);
    if (known && !isSameManifest(listed, known.listed)) added.set(id, (added.get(id) ?? 0) + 1);
    // Of one key the newest comes first, so that of two received in the same moment the later listed is older.
    if (!known || run.received <= known.run.received) oldest.set(id, { run, listed });
  }
  for (const [id, count] of added) {
    const what = count === 1 ? 'one more manifest was' : `${count} more manifests were`;
    warn(
      options.onEvent,
      `${what} stored under the run ${id} after its first; only the first counts, and no machine of yours should do that`,
    );
  }
  const { onHidden = warnOfHidden(options.onEvent) } = options;
  if (hidden.size > 0) onHidden([...hidden.values()]);
  const runs = [...oldest.values()].map(({ run }) => run);
  return runs.sort((a, b) => a.received - b.received || a.time - b.time);
}

async function* listManifests(
  store: Pick<ObjectStore, 'list'>,
  { backup, withoutOlder = false }: ListRunsOptions,
  onHidden: (data: HiddenData) => void,
): AsyncGenerator<ListedVersion> {
  if (backup === undefined) {
    yield* listAll(store, { prefix: MANIFESTS }, onHidden);
    return;
  }
  yield* listAll(store, { prefix: manifestPrefix(backup) }, onHidden);
  if (!withoutOlder) yield* listAll(store, { prefix: olderManifestKey(backup) });
}

function isSameManifest(a: ListedVersion, b: ListedVersion): boolean {
  return a.key === b.key && isSameObject(a, b);
}

/** Whether a run's id is dated after the day on which the store received its manifest: no honest run does that. */
export function isDatedInTheFuture(run: Pick<StoredRun, 'time' | 'received'>): boolean {
  return run.time > run.received + FUTURE_MS;
}

function runOf(listed: ListedVersion): StoredRun | undefined {
  const { key, version, size, received } = listed;
  const named = parseManifestKey(key);
  if (named) return { ...named, format: MANIFEST_FORMAT, key, version, size, received };
  const older = olderRun(listed);
  return older && { ...older, format: OLDER_FORMAT, key, version, size, received };
}

function warnOfHidden(onEvent: EventListener | undefined): (runs: readonly HiddenRun[]) => void {
  return (runs) => {
    for (const line of hiddenRunLines(runs)) warn(onEvent, line);
  };
}

/** Reports something remarkable about the store's manifests. */
export function warn(onEvent: EventListener | undefined, message: string): void {
  onEvent?.({ type: 'log', level: 'warning', message });
}
