import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { ObjectStore } from '../store/port.js';
import { StoreError } from '../store/store-error.js';
import { readFooter } from './footer.js';
import { type HiddenRun, hiddenRunLines } from './hidden-runs.js';
import { parseRunId } from './keys.js';
import { nearest } from './nearest.js';
import { isOlderManifestEmpty } from './older-format.js';
import { isDatedInTheFuture, listRuns, type StoredRun, warn } from './runs.js';
import { OLDER_FORMAT } from './types.js';

export interface ResolveRunOptions {
  /** The configured backup name, for `latest`; undefined where none is configured. */
  backup?: string | undefined;
  onEvent?: EventListener | undefined;
}

type ReadableStore = Pick<ObjectStore, 'list' | 'get' | 'description'>;

/**
 * The run that a person means by `text`: a run id (or `<backup name>/<run id>`), a backup name for its newest run
 * that is not broken, or `latest` for that of the configured backup name, or of the only one there is.
 *
 * Newest means last received by the store. Three kinds of run are passed over, each with a warning, and can
 * still be had by their id, because whoever holds a machine's rights to back up could store them to hide the good
 * ones: runs dated later than the day of their receipt, runs that hold no entry at all, and runs whose footer
 * cannot be read. That the newest run comes from another machine than the one before it is a warning too.
 *
 * Throws NOT_FOUND with the nearest names, and USAGE with all names where `latest` could mean several.
 */
export async function resolveRun(
  store: ReadableStore,
  text: string,
  options: ResolveRunOptions = {},
): Promise<StoredRun> {
  let hidden: HiddenRun[] = [];
  const runs = await listRuns(store, {
    onEvent: options.onEvent,
    onHidden: (found) => {
      hidden = found;
    },
  });
  throwIfHidden(runs, hidden, text, options.backup);
  for (const line of hiddenRunLines(hidden)) warn(options.onEvent, line);
  if (runs.length === 0)
    throw new SysbackupError('NOT_FOUND', `there is no backup in ${store.description}`, {
      hint: 'Check the name of the bucket or directory and the prefix.',
    });
  const id = text.slice(text.lastIndexOf('/') + 1);
  if (parseRunId(id)) return byId(runs, text, id, store, options);
  const names = backupNames(runs);
  if (text !== 'latest' && names.includes(text)) return newest(store, runs, text, options);
  if (text === 'latest') return newest(store, runs, nameForLatest(names, store, options), options);
  // Half a run id, or one that was mistyped, looks like none: the newest first.
  const ids = runs.map((run) => run.run).reverse();
  const candidates = [...names, 'latest', ...ids];
  throw notFound(`no backup and no run is called ${text} in ${store.description}`, text, candidates);
}

/** Throws DAMAGED where the run that is meant, or all that could be, are there without a readable sidecar. */
function throwIfHidden(
  runs: readonly StoredRun[],
  hidden: readonly HiddenRun[],
  text: string,
  configured: string | undefined,
): void {
  const id = text.slice(text.lastIndexOf('/') + 1);
  const name = text === id ? undefined : text.slice(0, -id.length - 1);
  const isNamed = ({ backup, run }: Pick<HiddenRun, 'backup' | 'run'>): boolean =>
    run === id && (name === undefined || backup === name);
  const backup = text === 'latest' ? configured : text;
  const isOf = (run: Pick<HiddenRun, 'backup'>): boolean =>
    run.backup === backup || (text === 'latest' && backup === undefined);
  const isMeant = parseRunId(id) ? isNamed : isOf;
  const meant = hidden.filter(isMeant);
  const last = meant.at(-1);
  if (last === undefined || runs.some(isMeant)) return;
  throw new SysbackupError('DAMAGED', last.message, { hint: `To mend it: ${last.wayOut}` });
}

/** The backup names of these runs, sorted. */
export function backupNames(runs: readonly StoredRun[]): string[] {
  return [...new Set(runs.map((run) => run.backup))].sort();
}

function byId(
  runs: readonly StoredRun[],
  text: string,
  id: string,
  store: ReadableStore,
  options: ResolveRunOptions,
): StoredRun {
  const named = text === id ? undefined : text.slice(0, -id.length - 1);
  const found = runs.filter((run) => run.run === id && (named === undefined || run.backup === named));
  const preferred = found.find((run) => run.backup === options.backup) ?? found[0];
  if (!preferred) {
    const ids = runs.filter((run) => named === undefined || run.backup === named).map((run) => run.run);
    throw notFound(`there is no run ${text} in ${store.description}`, id, ids);
  }
  if (found.length > 1 && preferred.backup !== options.backup)
    throw new SysbackupError('USAGE', `several backups have a run ${id}: ${backupNames(found).join(', ')}`, {
      hint: `Name one of them, as in ${preferred.backup}/${id}.`,
    });
  return preferred;
}

function nameForLatest(names: readonly string[], store: ReadableStore, options: ResolveRunOptions): string {
  if (options.backup !== undefined) {
    if (names.includes(options.backup)) return options.backup;
    throw notFound(`there is no backup ${options.backup} in ${store.description}`, options.backup, names);
  }
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new SysbackupError(
    'USAGE',
    `\`latest\` could mean any of ${names.length} backups in ${store.description}: ${names.join(', ')}`,
    { hint: 'Name the backup.' },
  );
}

async function newest(
  store: ReadableStore,
  runs: readonly StoredRun[],
  backup: string,
  options: ResolveRunOptions,
): Promise<StoredRun> {
  const own = runs.filter((run) => run.backup === backup && run.outcome !== 'broken').reverse();
  for (const [index, run] of own.entries()) {
    const reason = await reasonToPassOver(store, run);
    if (reason === undefined) {
      warnOfOtherMachine(run, own.slice(index + 1), options.onEvent);
      return run;
    }
    warn(options.onEvent, `passed over the run ${backup}/${run.run}: ${reason}`);
  }
  throw new SysbackupError('NOT_FOUND', `the backup ${backup} has no run that could be used`, {
    hint: 'Its broken, empty or damaged runs can be named by their run ids, which `s3-sysbackup list` shows.',
  });
}

/** Whether it is this one manifest that is wrong, and not the store that fails. */
function isItsOwn(error: SysbackupError): boolean {
  if (error.code === 'DAMAGED' || error.code === 'NOT_FOUND') return true;
  return error instanceof StoreError && error.code === 'STORE_FAILED' && !error.retryable;
}

async function reasonToPassOver(store: ReadableStore, run: StoredRun): Promise<string | undefined> {
  if (isDatedInTheFuture(run))
    return `it is dated after ${new Date(run.received).toISOString()}, when the store received it`;
  try {
    return (await isEmpty(store, run)) ? 'it holds nothing' : undefined;
  } catch (error) {
    // One that cannot be had may have been stored so on purpose: in a class that must be thawed, under a foreign key.
    if (error instanceof SysbackupError && isItsOwn(error)) return error.message;
    throw error;
  }
}

async function isEmpty(store: ReadableStore, { format, key, version, size }: StoredRun): Promise<boolean> {
  if (format === OLDER_FORMAT) return isOlderManifestEmpty(store, key, version);
  const { counts } = await readFooter(store, key, version, size);
  return counts.d + counts.l + counts.f + counts.s === 0;
}

/**
 * `earlier`: the newest first. Runs of the older format do not tell their machine, so they are passed over, or
 * anyone could hide a change of machine behind one; and none is expected after runs of this format.
 */
function warnOfOtherMachine(
  run: StoredRun,
  earlier: readonly StoredRun[],
  onEvent: EventListener | undefined,
): void {
  const before = earlier.find(({ format }) => format !== OLDER_FORMAT);
  if (before === undefined || before.machine === run.machine) return;
  warn(
    onEvent,
    `the newest run ${run.backup}/${run.run} comes from another machine than the one before it, ${before.run}`,
  );
}

function notFound(message: string, text: string, candidates: readonly string[]): SysbackupError {
  const near = nearest(text, candidates);
  const hint =
    near.length === 0
      ? '`s3-sysbackup list` shows what there is.'
      : `The nearest ${near.length === 1 ? 'name is' : 'names are'} ${near.join(', ')}.`;
  return new SysbackupError('NOT_FOUND', message, { hint });
}
