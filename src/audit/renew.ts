import { SysbackupError, throwIfAborted } from '../errors.js';
import { type HiddenRun, hiddenRunLines } from '../manifest/hidden-runs.js';
import { warnOfAhead } from '../manifest/ahead.js';
import { MANIFESTS, manifestPrefix } from '../manifest/keys.js';
import { listRuns, type StoredRun, warn } from '../manifest/runs.js';
import { MANIFEST_FORMAT } from '../manifest/types.js';
import { fromAccepted } from './accepted-runs.js';
import { MachineRenewal } from './renew-machine.js';
import { RenewMemory } from './renew-memory.js';
import type { RenewedMachine, RenewedRun, RenewLimits, RenewOptions, RenewResult } from './renew-options.js';
import { RunRenewer } from './renew-run.js';

const DAYS = 30;
const DAYS_RETAINED = 14;
const AT_ONCE = 16;
const LIMITS: RenewLimits = {
  manifestBytes: 2 ** 30,
  entries: 50_000_000,
  runsPerMachine: 2000,
  runs: 50_000,
};

/**
 * Extends the locks of the backups that must stay, from any machine and without a catalog: which they are, and why
 * neither a dead machine nor a thief with its rights lets a good backup lapse, stands at {@link MachineRenewal}. Of a
 * run its content is extended first, the manifest last; each version is asked for its lock at most once in a call, and
 * extended at most once for each date it must reach, to that date and the slack that `archive` gives too.
 *
 * Nothing is ever shortened, and a version keeps the mode it is locked in. What is wrong with single runs is in the
 * result, and a warning; {@link failureOfRenewal} makes the error of it that a command ends with. Throws NOT_FOUND
 * where there is no run, ACCESS_DENIED and STORE_FAILED where no run could be renewed for that, SYSTEM, USAGE, ABORTED.
 */
export async function renew(options: RenewOptions): Promise<RenewResult> {
  const { store, backup, onEvent, signal } = options;
  for (const days of [options.days, options.daysRetained])
    if (days !== undefined && !(days > 0))
      throw new SysbackupError('USAGE', `${days} days are no time`, { hint: 'Give a number above 0.' });
  onEvent?.({ type: 'phase', phase: 'renew' });
  let hidden: HiddenRun[] = [];
  const onHidden = (found: HiddenRun[]): void => {
    hidden = found;
    for (const line of hiddenRunLines(found)) warn(onEvent, line);
  };
  const runs = (await listRuns(store, { backup, onEvent, onHidden })).filter(isRenewable);
  if (runs.length + hidden.length === 0)
    throw new SysbackupError(
      'NOT_FOUND',
      `there is no run${backup === undefined ? '' : ` of ${backup}`} to renew in ${store.description}`,
      { hint: '`s3-sysbackup list` shows what there is.' },
    );
  const nowMs = await store.now();
  warnOfAhead(runs, nowMs, onEvent);
  const limits = { ...LIMITS, ...options.limits };
  const memory = RenewMemory.open(options.memoryPath, store.identity, (message) => warn(onEvent, message));
  const renewer = new RunRenewer(store, options.spoolFolder, limits, {
    store,
    concurrency: options.concurrency ?? AT_ONCE,
    now: Math.floor(nowMs / 1000),
    onEvent,
    signal,
  });
  const result: RenewResult = {
    machines: [],
    runs: [],
    asked: 0,
    extended: 0,
    counts: { damaged: 0, incomplete: 0, missing: 0, refused: 0, unread: 0 },
    hidden,
  };
  let left = limits.runs;
  try {
    const accepted = { accepted: options.accepted ?? [], nowMs, onEvent };
    for (const ofMachine of fromAccepted(byMachine(runs), accepted)) {
      throwIfAborted(signal);
      const machine = new MachineRenewal(ofMachine, {
        renewer,
        memory,
        nowMs,
        days: options.days ?? DAYS,
        daysRetained: options.daysRetained ?? DAYS_RETAINED,
        classes: options.classes ?? {},
        runsPerMachine: Math.min(left, limits.runsPerMachine),
      });
      left = Math.max(0, left - machine.size);
      add(result, await machine.renew(), machine.outcomes.values(), options);
    }
  } finally {
    memory.save(runs, backup === undefined ? MANIFESTS : manifestPrefix(backup));
  }
  if (renewer.failure && !result.runs.some(({ state }) => state === 'renewed' || state === 'current'))
    throw renewer.failure;
  result.asked = renewer.asked;
  result.extended = renewer.extended;
  return result;
}

/** Runs of the older format promise no lock. */
function isRenewable({ format, outcome }: StoredRun): boolean {
  return format === MANIFEST_FORMAT && outcome !== 'broken';
}

/** The error that a result amounts to: DAMAGED, RETENTION_SHORT, or undefined where all is as it should be. */
export function failureOfRenewal({ counts, runs, hidden }: RenewResult): SysbackupError | undefined {
  const problem = runs.find(({ problem }) => problem !== undefined);
  const message = `${problem?.backup}/${problem?.run}: ${problem?.problem}`;
  if (counts.damaged + counts.missing > 0) return new SysbackupError('DAMAGED', message);
  const last = hidden.at(-1);
  if (last !== undefined)
    return new SysbackupError('DAMAGED', last.message, { hint: `To mend it: ${last.wayOut}` });
  if (counts.incomplete > 0) return new SysbackupError('RETENTION_SHORT', message);
  if (counts.unread > 0)
    return new SysbackupError(
      'RETENTION_SHORT',
      `${counts.unread} runs are more than are looked at in one call`,
      {
        hint: 'No honest machine stores so many; if yours do, raise the limits.',
      },
    );
  return undefined;
}

/** The runs of each machine under each name, machines whose runs were first received first. */
function byMachine(runs: readonly StoredRun[]): StoredRun[][] {
  const machines = new Map<string, StoredRun[]>();
  for (const run of runs) {
    const id = `${run.backup}/${run.machine}`;
    const known = machines.get(id);
    if (known === undefined) machines.set(id, [run]);
    else known.push(run);
  }
  return [...machines.values()];
}

function add(
  result: RenewResult,
  machine: RenewedMachine,
  runs: Iterable<RenewedRun>,
  { onEvent }: RenewOptions,
): void {
  const { counts } = result;
  const name = `${machine.backup} (machine ${machine.machine})`;
  result.machines.push(machine);
  counts.unread += machine.unread;
  for (const run of [...runs].sort((a, b) => a.received - b.received)) {
    result.runs.push(run);
    if (run.state === 'damaged') counts.damaged += 1;
    if (run.state === 'incomplete') counts.incomplete += 1;
    counts.missing += run.missing;
    counts.refused += run.refused;
    if (run.problem !== undefined)
      warn(onEvent, `the run ${run.backup}/${run.run} was not renewed as it should: ${run.problem}`);
  }
  if (machine.shrunk)
    warn(
      onEvent,
      `the newest runs of ${name} are far smaller than ${machine.lastGood}, which is kept for that; if they are right, accept ${machine.newest}`,
    );
  if (machine.lastGood === undefined) warn(onEvent, `no run of ${name} can be used`);
  if (machine.unread > 0) warn(onEvent, `${machine.unread} runs of ${name} are too many to be looked at`);
}
