import { messageOf, SysbackupError } from '../errors.js';
import type { EventListener, RunOutcome } from '../events.js';
import { isAhead, warnOfAhead } from '../manifest/ahead.js';
import { readFooter } from '../manifest/footer.js';
import { type HiddenRun, hiddenRunLines } from '../manifest/hidden-runs.js';
import { isDatedInTheFuture, listRuns, type StoredRun, warn } from '../manifest/runs.js';
import type { JudgedHistory } from '../manifest/run-history.js';
import { type ManifestFooter, OLDER_FORMAT } from '../manifest/types.js';
import { isEmptyRun, isOneManifestsOwn } from '../manifest/usable-runs.js';
import type { ObjectStore, Retention } from '../store/port.js';
import { historiesOf, NO_HISTORY } from './listed-history.js';

export interface ListBackupsOptions {
  /** Only runs of this backup name. */
  name?: string | undefined;
  /** Whether to read each manifest's footer (one GET of 4 KiB) and lock (one more request). Else the listing is all. */
  footers: boolean;
  /** Runs asked after at a time. Default 16. */
  concurrency?: number | undefined;
  onEvent?: EventListener | undefined;
  /** Gets the runs that are there and cannot be listed for want of a readable sidecar; warnings say so anyway. */
  onHidden?: ((runs: readonly HiddenRun[]) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** One run, as `list` shows it. */
export interface ListedBackup {
  name: string;
  run: string;
  /** The run's start, as its id says: milliseconds since the epoch. */
  time: number;
  /** When the store received the manifest: milliseconds since the epoch. */
  received: number;
  /** Its id is dated after the day of its receipt, which no honest machine does. */
  suspicious: boolean;
  /** It was received more than a day after now, by the store's clock: one of the two times is wrong. */
  ahead: boolean;
  outcome: RunOutcome;
  /** 1: the older format. Its outcome is not known (`complete` here), nor its counts without reading all of it. */
  format: StoredRun['format'];
  key: string;
  version: string;
  /** What the footer says; undefined where it was not asked for, or could not be read. */
  counts: ManifestFooter['counts'] | undefined;
  /** Unencoded bytes of all files and snapshots; undefined likewise. */
  bytes: number | undefined;
  /** The manifest's own lock; undefined where it was not asked for, has none, or could not be read. */
  lock: Retention | undefined;
  /** Why footer or lock could not be read; undefined where they were, or were not asked for. */
  problem: string | undefined;
  /** How long the backup name has been without a complete run; an empty or damaged one is none. */
  history: JudgedHistory;
}

type ListedRow = Omit<ListedBackup, 'history'>;

type ReadableStore = Pick<ObjectStore, 'list' | 'get' | 'getRetention' | 'now' | 'description'>;

const CONCURRENCY = 16;

/**
 * The runs of a store, by name and then by the time of their receipt. What is wrong with a single run is told with
 * it and stops nothing; what throws is a listing that fails. A lock that may not be asked for (it takes a right of
 * its own) leaves the footer's counts as they are.
 */
export async function listBackups(
  store: ReadableStore,
  options: ListBackupsOptions,
): Promise<ListedBackup[]> {
  const { name, onEvent, onHidden } = options;
  const runs = await listRuns(store, {
    backup: name,
    onEvent,
    onHidden: (hidden) => {
      for (const line of hiddenRunLines(hidden)) warn(onEvent, line);
      onHidden?.(hidden);
    },
  });
  if (runs.length === 0) return [];
  runs.sort((a, b) => (a.backup < b.backup ? -1 : a.backup > b.backup ? 1 : a.received - b.received));
  const nowMs = await store.now();
  warnOfAhead(runs, nowMs, options.onEvent);
  const listed = runs.map((run) => fromListing(run, nowMs));
  const unusable = new Set<StoredRun>();
  if (options.footers) await completeAll(store, runs, listed, unusable, options);
  const histories = historiesOf(runs, nowMs, unusable);
  return listed.map((row) => ({ ...row, history: histories.get(row.name) ?? NO_HISTORY }));
}

/** Asks after footer and lock of each run. */
async function completeAll(
  store: ReadableStore,
  runs: readonly StoredRun[],
  listed: readonly ListedRow[],
  unusable: Set<StoredRun>,
  options: ListBackupsOptions,
): Promise<void> {
  // A shared iterator: each worker takes the next row that none has taken.
  const rows = listed.entries();
  const work = async (): Promise<void> => {
    for (const [index, row] of rows) {
      if (options.signal?.aborted) throw new SysbackupError('ABORTED', 'stopped while listing');
      const run = runs[index];
      if (run) await complete(store, run, row, unusable);
    }
  };
  const workers = Math.min(options.concurrency ?? CONCURRENCY, listed.length);
  await Promise.all(Array.from({ length: workers }, work));
}

function fromListing(run: StoredRun, nowMs: number): ListedRow {
  const { backup, time, received, outcome, format, key, version } = run;
  return {
    name: backup,
    run: run.run,
    time,
    received,
    suspicious: isDatedInTheFuture(run),
    ahead: isAhead(run, nowMs),
    outcome,
    format,
    key,
    version,
    counts: undefined,
    bytes: undefined,
    lock: undefined,
    problem: undefined,
  };
}

async function complete(
  store: ReadableStore,
  run: StoredRun,
  row: ListedRow,
  unusable: Set<StoredRun>,
): Promise<void> {
  const problems: string[] = [];
  const told = (error: unknown): undefined => {
    if (error instanceof SysbackupError && ENDS_ALL.has(error.code)) throw error;
    problems.push(messageOf(error));
    return undefined;
  };
  const toldOfFooter = (error: unknown): undefined => {
    if (isOneManifestsOwn(error)) unusable.add(run);
    return told(error);
  };
  const footerOf = ({ key, version, size }: StoredRun): Promise<ManifestFooter | undefined> =>
    readFooter(store, key, version, size).catch(toldOfFooter);
  const [footer, lock] = await Promise.all([
    run.format === OLDER_FORMAT ? undefined : footerOf(run),
    store.getRetention(run.key, run.version).catch(told),
  ]);
  if (footer && isEmptyRun(footer.counts)) unusable.add(run);
  row.counts = footer?.counts;
  row.bytes = footer?.bytes;
  row.lock = lock;
  if (problems.length > 0) row.problem = problems.join('; ');
}

const ENDS_ALL: ReadonlySet<string> = new Set(['ABORTED', 'LIMIT']);
