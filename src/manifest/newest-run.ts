import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { ObjectStore } from '../store/port.js';
import { readFooter } from './footer.js';
import { isOlderManifestEmpty } from './older-format.js';
import { type StoredRun, warn } from './runs.js';
import { OLDER_FORMAT } from './types.js';
import { isEmptyRun, isOneManifestsOwn, type UsableRun, UsableRuns } from './usable-runs.js';

type ReadableStore = Pick<ObjectStore, 'get' | 'description'>;

/** The runs of one backup name. */
export class OneBackup {
  readonly name: string;
  /** In the order of their receipt. */
  readonly runs: readonly StoredRun[];
  readonly usable: UsableRuns<StoredRun>;
  readonly onEvent: EventListener | undefined;

  constructor(
    store: ReadableStore,
    runs: readonly StoredRun[],
    name: string,
    nowMs: number,
    onEvent: EventListener | undefined,
  ) {
    this.name = name;
    this.runs = runs.filter(({ backup }) => backup === name);
    this.usable = new UsableRuns(this.runs, { nowMs, look: (run) => lookAt(store, run), onEvent });
    this.onEvent = onEvent;
  }
}

/** The usable run that is so many before the newest. */
export async function newestRun(backup: OneBackup, back = 0): Promise<StoredRun> {
  const before: UsableRun<StoredRun>[] = [];
  for await (const usable of backup.usable.newestFirst()) {
    before.push(usable);
    if (before.length <= back) continue;
    if (back === 0) warnOfOtherMachine(usable.run, backup);
    return usable.run;
  }
  const some = before.length > 0;
  throw new SysbackupError(
    'NOT_FOUND',
    some
      ? `the backup ${backup.name} has ${before.length} runs that could be used, so no latest~${back}`
      : `the backup ${backup.name} has no run that could be used`,
    {
      hint: some
        ? `The first of them is latest~${before.length - 1}.`
        : 'Its broken, empty or damaged runs can be named by their run ids, which `s3-sysbackup list` shows.',
    },
  );
}

/** A day in milliseconds since the epoch; `to` is the first of the next. */
export interface Day {
  from: number;
  to: number;
}

export function isOfDay({ received }: Pick<StoredRun, 'received'>, { from, to }: Day): boolean {
  return received >= from && received < to;
}

/** The newest usable run that was received on a day, which `text` names. */
export async function newestOfDay(backup: OneBackup, text: string, day: Day): Promise<StoredRun> {
  const isThatDay = (run: StoredRun): boolean => isOfDay(run, day);
  for await (const { run } of backup.usable.newestFirst(isThatDay)) return run;
  const before = backup.runs.findLast(({ received }) => received < day.from);
  const after = backup.runs.find(({ received }) => received >= day.to);
  const near = [before, after].flatMap((run) => (run === undefined ? [] : [dayOf(run)]));
  const some = backup.runs.some(isThatDay) ? ' that could be used' : '';
  throw new SysbackupError('NOT_FOUND', `the backup ${backup.name} has no run of ${text} (UTC)${some}`, {
    hint:
      near.length === 0
        ? '`s3-sysbackup list` shows what there is.'
        : `The nearest ${near.length === 1 ? 'day with a run is' : 'days with runs are'} ${near.join(' and ')}.`,
  });
}

function dayOf({ received }: StoredRun): string {
  return new Date(received).toISOString().slice(0, 10);
}

/** The run, or why it is passed over. */
async function lookAt(store: ReadableStore, run: StoredRun): Promise<StoredRun | string> {
  try {
    return (await isEmpty(store, run)) ? 'it holds nothing' : run;
  } catch (error) {
    // One that cannot be had may have been stored so on purpose: in a class that must be thawed, under a foreign key.
    if (isOneManifestsOwn(error)) return error.message;
    throw error;
  }
}

async function isEmpty(store: ReadableStore, { format, key, version, size }: StoredRun): Promise<boolean> {
  if (format === OLDER_FORMAT) return isOlderManifestEmpty(store, key, version);
  const { counts } = await readFooter(store, key, version, size);
  return isEmptyRun(counts);
}

/**
 * Runs of the older format do not tell their machine, so they are passed over, or anyone could hide a change of
 * machine behind one; and none is expected after runs of this format.
 */
function warnOfOtherMachine(run: StoredRun, { runs, onEvent }: OneBackup): void {
  const earlier = runs.slice(0, runs.indexOf(run)).filter(({ outcome }) => outcome !== 'broken');
  const before = earlier.findLast(({ format }) => format !== OLDER_FORMAT);
  if (before === undefined || before.machine === run.machine) return;
  warn(
    onEvent,
    `the newest run ${run.backup}/${run.run} comes from another machine than the one before it, ${before.run}`,
  );
}
