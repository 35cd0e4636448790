import type { RunOutcome } from '../events.js';
import { splitByClock } from './ahead.js';
import { isDatedInTheFuture, type StoredRun } from './runs.js';
import { MANIFEST_FORMAT } from './types.js';

/** How long a backup has been without a complete run. Times are starts of runs, ISO 8601. */
export interface RunHistory {
  /** Of the newest complete run; null where there is none. */
  lastComplete: string | null;
  /** Runs stored after that one; without one, all runs. */
  sinceComplete: number;
  /** Of the first run that is known; null where there is none. */
  firstRun: string | null;
}

export interface JudgedHistory extends RunHistory {
  /** At least three runs, and more than 48 hours, brought no complete one. */
  lacksComplete: boolean;
}

const RUNS_WITHOUT = 3;
const HOURS_WITHOUT_MS = 48 * 3_600_000;

export const NO_RUNS: RunHistory = { lastComplete: null, sinceComplete: 0, firstRun: null };

/**
 * What a listing says of one backup name. Left out are runs that were received ahead of now (see
 * {@link splitByClock}): one complete run under a wrong clock would silence this for years; and runs of the older
 * format, whose outcome nobody knows. A run dated later than its receipt counts as stored, and not as complete, and so
 * does one that `isUsable` refuses.
 *
 * @param runs in the order of their receipt
 */
export function historyOf(
  runs: readonly StoredRun[],
  nowMs: number,
  isUsable: (run: StoredRun) => boolean = () => true,
): RunHistory {
  const own = runs.filter(({ format }) => format === MANIFEST_FORMAT);
  const { timely } = splitByClock(own, nowMs);
  const last = timely.findLastIndex(
    (run) => run.outcome === 'complete' && !isDatedInTheFuture(run) && isUsable(run),
  );
  return {
    lastComplete: startOf(timely[last]),
    sinceComplete: timely.length - 1 - last,
    firstRun: startOf(timely.find((run) => !isDatedInTheFuture(run)) ?? timely[0]),
  };
}

/** The same with one more run, which was stored last. */
export function withRun(history: RunHistory, startMs: number, outcome: RunOutcome): RunHistory {
  const start = isoOf(startMs);
  const { lastComplete, sinceComplete, firstRun } = history;
  const isComplete = outcome === 'complete';
  return {
    lastComplete: isComplete ? start : lastComplete,
    sinceComplete: isComplete ? 0 : sinceComplete + 1,
    firstRun: firstRun ?? start,
  };
}

/** The same, and whether it is time to say so. */
export function judged(history: RunHistory, nowMs: number): JudgedHistory {
  const since = history.lastComplete ?? history.firstRun;
  const tooLong = since !== null && nowMs - Date.parse(since) > HOURS_WITHOUT_MS;
  return { ...history, lacksComplete: tooLong && history.sinceComplete >= RUNS_WITHOUT };
}

function startOf(run: StoredRun | undefined): string | null {
  return run === undefined ? null : isoOf(run.time);
}

/** As a run id has it: whole seconds. */
function isoOf(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString();
}
