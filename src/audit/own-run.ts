import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { fetchManifest, type FetchedManifest } from '../manifest/fetch.js';
import { machineMark } from '../manifest/keys.js';
import { isDatedInTheFuture, listRuns, type StoredRun, warn } from '../manifest/runs.js';
import { MANIFEST_FORMAT } from '../manifest/types.js';
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
 * The newest run of this machine that a catalog can be made of: whole, not broken, not empty, not dated in the future.
 * What is passed over is said. Throws NOT_FOUND.
 */
export async function findOwnRun(options: OwnRunOptions): Promise<OwnRun> {
  const { store, backup, machine, onEvent } = options;
  const runs = (await listRuns(store, { backup, onEvent })).filter(isUsable).reverse();
  const mark = machineMark(machine);
  for (const run of runs) {
    if (run.machine !== mark) continue;
    const found = await fetchOf(run, options);
    if (typeof found !== 'string') return found;
    warn(onEvent, `passed over the run ${backup}/${run.run}: ${found}`);
  }
  throw noneOf(runs, options);
}

function isUsable(run: StoredRun): boolean {
  return run.format === MANIFEST_FORMAT && run.outcome !== 'broken' && !isDatedInTheFuture(run);
}

/** The run with its manifest, or why it cannot be used. */
async function fetchOf(run: StoredRun, options: OwnRunOptions): Promise<OwnRun | string> {
  const { store, machine, spoolFolder, signal } = options;
  let manifest: FetchedManifest;
  try {
    manifest = await fetchManifest(store, run, spoolFolder, { signal });
  } catch (error) {
    const isItsOwn = error instanceof SysbackupError && ['DAMAGED', 'NOT_FOUND'].includes(error.code);
    if (isItsOwn) return error.message;
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
  const [newest] = runs;
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
