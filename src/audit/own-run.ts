import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { splitByClock } from '../manifest/ahead.js';
import { fetchManifest, type FetchedManifest } from '../manifest/fetch.js';
import { machineMark } from '../manifest/keys.js';
import { isDatedInTheFuture, listRuns, type StoredRun } from '../manifest/runs.js';
import { MANIFEST_FORMAT } from '../manifest/types.js';
import { isOneManifestsOwn, UsableRuns } from '../manifest/usable-runs.js';
import type { ObjectStore } from '../store/port.js';

export interface OwnRunOptions {
  store: ObjectStore;
  backup: string;
  /** This machine's id. */
  machine: string;
  spoolFolder: string;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

/** A run and its manifest, found right. */
export interface OwnRun {
  run: StoredRun;
  manifest: FetchedManifest;
}

/**
 * The newest usable run of this machine (see {@link UsableRuns}) that a catalog can be made of: whole, and with any
 * content. What is passed over is said. Throws NOT_FOUND.
 */
export async function findOwnRun(options: OwnRunOptions): Promise<OwnRun> {
  const { store, backup, machine, onEvent } = options;
  const listed = await listRuns(store, { backup, onEvent });
  const runs = listed.filter(({ format, outcome }) => format === MANIFEST_FORMAT && outcome !== 'broken');
  const mark = machineMark(machine);
  const own = runs.filter((run) => run.machine === mark);
  const look = (run: StoredRun): Promise<OwnRun | string> => fetchOf(run, options);
  const nowMs = await store.now();
  for await (const { found } of new UsableRuns(own, { nowMs, look, onEvent }).newestFirst()) return found;
  const dated = runs.filter((run) => !isDatedInTheFuture(run));
  throw noneOf(splitByClock(dated, nowMs).timely, options);
}

/** The run with its manifest, or why it cannot be used. */
async function fetchOf(run: StoredRun, options: OwnRunOptions): Promise<OwnRun | string> {
  const { store, machine, spoolFolder, signal } = options;
  let manifest: FetchedManifest;
  try {
    manifest = await fetchManifest(store, run, spoolFolder, { signal });
  } catch (error) {
    if (isOneManifestsOwn(error)) return error.message;
    throw error;
  }
  // Four digits of an id are no proof of it.
  const reason =
    manifest.header.machine !== machine
      ? 'it is of another machine'
      : manifest.footer.counts.f + manifest.footer.counts.s === 0
        ? 'it holds nothing'
        : undefined;
  if (reason === undefined) return { run, manifest };
  await manifest.remove();
  return reason;
}

function noneOf(runs: readonly StoredRun[], { store, backup }: OwnRunOptions): SysbackupError {
  const newest = runs.at(-1);
  const hint =
    newest === undefined
      ? '`s3-sysbackup list` shows what there is. Without a catalog the next run reads all files and looks up what is stored.'
      : `The newest run of that name is ${newest.run}, of another machine. If this is that machine set up anew, name the run: s3-sysbackup rebuild-catalog ${newest.run}`;
  return new SysbackupError(
    'NOT_FOUND',
    `there is no run of ${backup} in ${store.description} that this machine has stored and that could be read back`,
    { hint },
  );
}
