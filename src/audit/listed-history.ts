import { historyOf, judged, type JudgedHistory, NO_RUNS } from '../manifest/run-history.js';
import type { StoredRun } from '../manifest/runs.js';

export const NO_HISTORY: JudgedHistory = { ...NO_RUNS, lacksComplete: false };

/**
 * How long each backup name has been without a complete run.
 *
 * @param runs of each name in the order of their receipt
 * @param unusable runs that are known to hold nothing, or cannot be read
 */
export function historiesOf(
  runs: readonly StoredRun[],
  nowMs: number,
  unusable: ReadonlySet<StoredRun>,
): Map<string, JudgedHistory> {
  const byName = new Map<string, StoredRun[]>();
  for (const run of runs) {
    const own = byName.get(run.backup);
    if (own === undefined) byName.set(run.backup, [run]);
    else own.push(run);
  }
  const histories = new Map<string, JudgedHistory>();
  for (const [name, own] of byName) {
    histories.set(
      name,
      judged(
        historyOf(own, nowMs, (run) => !unusable.has(run)),
        nowMs,
      ),
    );
  }
  return histories;
}
