import type { EventListener } from '../events.js';
import { FUTURE_MS, type StoredRun, warn } from './runs.js';

/**
 * Whether a run was received more than a day after now, by the clock of one and the same store: one of the two times
 * is wrong. A run that was stored while the clock of a directory's machine was ahead is so until that time comes.
 */
export function isAhead(run: Pick<StoredRun, 'received'>, nowMs: number): boolean {
  return run.received > nowMs + FUTURE_MS;
}

/**
 * The runs that are not ahead of now, and those that are. Where all are, it is rather now that is wrong, as on a rescue
 * system without a clock: then none counts as ahead, and `doubtful` is true.
 */
export function splitByClock<R extends Pick<StoredRun, 'received'>>(
  runs: readonly R[],
  nowMs: number,
): { timely: R[]; ahead: R[]; doubtful: boolean } {
  const ahead = runs.filter((run) => isAhead(run, nowMs));
  if (ahead.length === runs.length) return { timely: [...runs], ahead: [], doubtful: runs.length > 0 };
  return { timely: runs.filter((run) => !isAhead(run, nowMs)), ahead, doubtful: false };
}

/** What messages call the store's time now. */
export function nowText(nowMs: number): string {
  return `now, ${new Date(nowMs).toISOString()}, by the store's clock`;
}

/** Says which backup names have runs that are ahead of now. */
export function warnOfAhead(
  runs: readonly StoredRun[],
  nowMs: number,
  onEvent: EventListener | undefined,
): void {
  for (const name of new Set(runs.filter((run) => isAhead(run, nowMs)).map(({ backup }) => backup))) {
    const own = runs.filter(({ backup }) => backup === name);
    const { ahead, doubtful } = splitByClock(own, nowMs);
    const those = doubtful ? own : ahead;
    const last = those.at(-1);
    const when = last === undefined ? '' : `${name}/${last.run} of ${new Date(last.received).toISOString()}`;
    const which =
      those.length === 1 ? `the run ${when} is` : `${those.length} runs of ${name}, the last ${when}, are`;
    const meaning = doubtful
      ? "there is no other, so this machine's clock may be wrong"
      : 'a clock was wrong then, and what is ahead is not taken for the newest';
    warn(onEvent, `${which} ahead of ${nowText(nowMs)}: ${meaning}`);
  }
}
