import { SysbackupError } from '../errors.js';
import { isAhead, nowText, warnOfAhead } from '../manifest/ahead.js';
import type { StoredRun } from '../manifest/runs.js';
import { acceptedName, fromAccepted } from './accepted-runs.js';
import type { ExpireOptions, KeepReason, KeptRun } from './expire-options.js';
import { goodRuns } from './good-runs.js';
import type { StoredWeights } from './stored-weights.js';

/** Why runs stay although their locks have ended. */
export class RunsToKeep {
  readonly #reasons = new Map<StoredRun, KeepReason[]>();
  readonly #letGoBy = new Map<StoredRun, string>();

  has(run: StoredRun): boolean {
    return this.#reasons.has(run);
  }

  add(run: StoredRun, reason: KeepReason, letGoBy: string | undefined): void {
    this.#reasons.set(run, [...(this.#reasons.get(run) ?? []), reason]);
    if (letGoBy !== undefined) this.#letGoBy.set(run, letGoBy);
  }

  /** Of these runs, which have no lock any more, what is said of those that stay. */
  kept(lapsed: readonly StoredRun[]): KeptRun[] {
    return lapsed.flatMap((stored) => {
      const reasons = this.#reasons.get(stored);
      const { backup, run } = stored;
      return reasons === undefined ? [] : [{ backup, run, reasons, letGoBy: this.#letGoBy.get(stored) }];
    });
  }
}

/**
 * Which of the runs whose locks have ended must stay: of each backup name the two that {@link goodRuns} finds, and what
 * was received ahead of now, since nobody knows how old that is.
 *
 * Throws REFUSED where all runs are ahead of now: then it is now that is wrong, and what has lapsed cannot be known.
 * Throws DAMAGED where the newest run of a name cannot be read, and no later one can.
 *
 * @param runs in the order of their receipt
 * @param lapsed those of them that no lock holds
 */
export async function runsToKeep(
  runs: readonly StoredRun[],
  lapsed: ReadonlySet<StoredRun>,
  nowMs: number,
  weights: StoredWeights,
  { accepted = [], keepNewest = true, path, onEvent }: ExpireOptions,
): Promise<RunsToKeep> {
  if (runs.length > 0 && runs.every((run) => isAhead(run, nowMs)))
    throw new SysbackupError(
      'REFUSED',
      `nothing was removed: all ${runs.length} runs in ${path} were received after ${nowText(nowMs)}`,
      {
        hint: 'Set the clock of this machine, or of the file server, right. Nobody knows otherwise what has lapsed.',
      },
    );
  warnOfAhead(runs, nowMs, onEvent);
  const keep = new RunsToKeep();
  const groups = [...new Set(runs.map(({ backup }) => backup))].map((name) =>
    runs.filter(({ backup, outcome }) => backup === name && outcome !== 'broken'),
  );
  for (const own of fromAccepted(groups, { accepted, nowMs, onEvent })) {
    // What is locked stays anyway, and where nothing has lapsed nothing need be weighed.
    if (!keepNewest || !own.some((run) => lapsed.has(run))) continue;
    await weights.readClaims(own);
    const { newest, lastGood } = await goodRuns(own, nowMs, weights);
    weights.refuseDamagedAfter(newest, own);
    const letGo = newest === undefined ? undefined : acceptedName(newest);
    if (newest) keep.add(newest, 'newest', undefined);
    if (lastGood) keep.add(lastGood, 'last-good', lastGood === newest ? undefined : letGo);
  }
  if (keepNewest) for (const run of runs) if (isAhead(run, nowMs)) keep.add(run, 'ahead', undefined);
  return keep;
}
