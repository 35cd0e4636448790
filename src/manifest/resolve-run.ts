import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { ObjectStore } from '../store/port.js';
import { type HiddenRun, hiddenRunLines } from './hidden-runs.js';
import { parseRunId } from './keys.js';
import { isOfDay, newestOfDay, newestRun, OneBackup } from './newest-run.js';
import { noSuchBackup, notFound } from './not-found.js';
import { type MeantRun, meantRun, splitRunText } from './run-text.js';
import { listRuns, type StoredRun, warn } from './runs.js';

/** A backup name that nobody chose: it counts where the store has runs of it, and otherwise as none. */
export interface DefaultBackup {
  byDefault: string;
}

export interface ResolveRunOptions {
  /**
   * The configured backup name, which `latest`, dates and beginnings of ids mean; undefined where none is configured. A
   * conf without one means the name made of the host's, which on another machine is not the backup's.
   */
  backup?: string | DefaultBackup | undefined;
  onEvent?: EventListener | undefined;
}

type ReadableStore = Pick<ObjectStore, 'list' | 'get' | 'now' | 'description'>;

/** Runs that a message names at most. */
const NAMED = 20;

/**
 * The run that a person means by `text`, which is, in this order:
 *
 * 1. a run id, whatever became of that run;
 * 2. a backup name: its newest usable run (see {@link UsableRuns});
 * 3. `latest`, or `latest~N` for the usable run that is N before it;
 * 4. a date, `2026-11-20`: the newest usable run that the store received on that day, UTC;
 * 5. the beginning of a run id, where only one run begins so.
 *
 * The last three mean the configured backup name, or the only one there is; `<backup name>/` before any but the second
 * chooses another. Newest means last received by the store. That the newest run comes from another machine than the
 * one before it is a warning too.
 *
 * Throws NOT_FOUND with the nearest names, and USAGE, with those that it could be, where it could be several.
 */
export async function resolveRun(
  store: ReadableStore,
  text: string,
  given: ResolveRunOptions = {},
): Promise<StoredRun> {
  let hidden: HiddenRun[] = [];
  const runs = await listRuns(store, {
    onEvent: given.onEvent,
    onHidden: (found) => {
      hidden = found;
    },
  });
  const configured = configuredName(given.backup, [...runs, ...hidden]);
  const options: NamedOptions = { ...given, backup: configured };
  throwIfHidden(runs, hidden, text, configured);
  for (const line of hiddenRunLines(hidden)) warn(options.onEvent, line);
  if (runs.length === 0)
    throw new SysbackupError('NOT_FOUND', `there is no backup in ${store.description}`, {
      hint: 'Check the name of the bucket or directory and the prefix.',
    });
  const { backup, rest } = splitRunText(text);
  if (rest === '')
    throw new SysbackupError('USAGE', `${JSON.stringify(text)} names no run`, {
      hint: 'Give a run id, a backup name, latest or a date; `s3-sysbackup list` shows what there is.',
    });
  if (parseRunId(rest)) return byId(runs, text, rest, store, options);
  const names = backupNames(runs);
  if (backup !== undefined && !names.includes(backup)) throw noSuchBackup(backup, names, store);
  const meant = meantRun(rest);
  if (backup === undefined && text !== 'latest' && names.includes(text)) {
    warnOfSecondMeaning(text, meant, runs, names, options);
    return newestRun(new OneBackup(store, runs, text, await store.now(), options.onEvent));
  }
  if (meant.kind === 'beginning') return byBeginning(runs, meant.text, backup, store, options);
  const name = backup ?? nameFor(rest, meant, runs, names, store, options);
  const own = new OneBackup(store, runs, name, await store.now(), options.onEvent);
  return meant.kind === 'latest' ? newestRun(own, meant.back) : newestOfDay(own, rest, meant);
}

/** With the backup name that counts. */
type NamedOptions = Omit<ResolveRunOptions, 'backup'> & { backup: string | undefined };

function configuredName(
  backup: ResolveRunOptions['backup'],
  runs: readonly Pick<StoredRun, 'backup'>[],
): string | undefined {
  if (typeof backup !== 'object') return backup;
  return runs.some((run) => run.backup === backup.byDefault) ? backup.byDefault : undefined;
}

/** Throws DAMAGED where the run that is meant, or all that could be, are there without a readable sidecar. */
function throwIfHidden(
  runs: readonly StoredRun[],
  hidden: readonly HiddenRun[],
  text: string,
  configured: string | undefined,
): void {
  const { backup, rest } = splitRunText(text);
  const isWholeName = backup === undefined && [...runs, ...hidden].some((run) => run.backup === text);
  const name = isWholeName ? text : (backup ?? configured);
  const id = isWholeName || !/^\d{8}T/.test(rest) ? '' : rest;
  // By its id in whichever backup, else of the one backup that is meant, or of any.
  const isMeant = (run: Pick<HiddenRun, 'backup' | 'run'>): boolean =>
    run.run.startsWith(id) &&
    (run.backup === name || (id === '' ? name === undefined : backup === undefined));
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
  options: NamedOptions,
): StoredRun {
  const { backup: named } = splitRunText(text);
  const found = runs.filter((run) => run.run === id && (named === undefined || run.backup === named));
  const preferred = found.find((run) => run.backup === options.backup) ?? found[0];
  if (!preferred) {
    const ids = runs.filter((run) => named === undefined || run.backup === named).map((run) => run.run);
    throw notFound(`there is no run ${text} in ${store.description}`, id, ids);
  }
  if (found.length > 1 && preferred.backup !== options.backup)
    throw new SysbackupError('USAGE', `several backups have a run ${id}: ${namesOf(found, true)}`, {
      hint: `Name one of them, as in ${preferred.backup}/${id}.`,
    });
  return preferred;
}

function byBeginning(
  runs: readonly StoredRun[],
  text: string,
  named: string | undefined,
  store: ReadableStore,
  options: NamedOptions,
): StoredRun {
  const names = backupNames(runs);
  const backup = named ?? options.backup ?? (names.length === 1 ? names[0] : undefined);
  const begun = runs.filter(({ run }) => run.startsWith(text));
  const fitting = begun.filter((run) => backup === undefined || run.backup === backup);
  const [first] = fitting;
  if (first === undefined) {
    const what =
      named === undefined ? `no backup and no run is called ${text}` : `no run of ${named} is called ${text}`;
    const message = `${what} in ${store.description}`;
    if (begun.length > 0)
      throw new SysbackupError('NOT_FOUND', message, {
        hint: `Of another backup there is ${namesOf(begun, true)}.`,
      });
    // Half a run id, or one that was mistyped, looks like none: the newest first.
    const ids = runs.filter((run) => named === undefined || run.backup === named).map(({ run }) => run);
    throw notFound(message, text, [...(named === undefined ? [...names, 'latest'] : []), ...ids.reverse()]);
  }
  if (backup === undefined)
    throw new SysbackupError('USAGE', `${text} could mean ${namesOf(fitting, true)}`, {
      hint: `Name the backup too, as in ${first.backup}/${first.run}.`,
    });
  if (fitting.length > 1)
    throw new SysbackupError(
      'USAGE',
      `the ids of ${fitting.length} runs of ${backup} begin with ${text}: ${namesOf(fitting, false)}`,
      { hint: 'Give more of the id.' },
    );
  return first;
}

/** The newest first. */
function namesOf(runs: readonly StoredRun[], withBackup: boolean): string {
  const names = runs.map(({ backup, run }) => (withBackup ? `${backup}/${run}` : run)).reverse();
  const more = names.length > NAMED ? `, and ${names.length - NAMED} more` : '';
  return `${names.slice(0, NAMED).join(', ')}${more}`;
}

/** The backup that `latest` or a date without a name means. */
function nameFor(
  text: string,
  meant: Exclude<MeantRun, { kind: 'beginning' }>,
  runs: readonly StoredRun[],
  names: readonly string[],
  store: ReadableStore,
  options: NamedOptions,
): string {
  if (options.backup !== undefined) {
    if (names.includes(options.backup)) return options.backup;
    throw noSuchBackup(options.backup, names, store);
  }
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  const ofDay = meant.kind === 'day' ? runs.filter((run) => isOfDay(run, meant)) : [];
  throw new SysbackupError(
    'USAGE',
    `\`${text}\` could mean any of ${names.length} backups in ${store.description}: ${names.join(', ')}` +
      (ofDay.length === 0 ? '' : `; of that day there is ${namesOf(ofDay, true)}`),
    { hint: `Name the backup, as in ${only}/${text}.` },
  );
}

/** A backup may be called like a day or like the beginning of an id; then it is what was meant. */
function warnOfSecondMeaning(
  text: string,
  meant: MeantRun,
  runs: readonly StoredRun[],
  names: readonly string[],
  { backup, onEvent }: NamedOptions,
): void {
  const other = backup ?? (names.length === 1 ? names[0] : undefined);
  if (other === undefined) return;
  const own = runs.filter((run) => run.backup === other);
  const fits =
    meant.kind === 'beginning'
      ? own.some(({ run }) => run.startsWith(text))
      : meant.kind === 'latest' || own.some((run) => isOfDay(run, meant));
  if (fits)
    warn(onEvent, `${text} is taken as the backup of that name; ${other}/${text} is a run of ${other}`);
}
