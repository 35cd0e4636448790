import { splitByClock } from '../manifest/ahead.js';
import { isDatedInTheFuture, type StoredRun } from '../manifest/runs.js';

/** What tells how much runs hold. */
export interface RunScales {
  /** The most that a run can weigh: what its footer says, or what it was found to weigh. No request. */
  claim(run: StoredRun): number;
  /** What it weighs: the different contents that it names and the store has. */
  weigh(run: StoredRun): Promise<{ weight: number; isUsable: boolean }>;
}

export interface GoodRuns {
  /** The newest run that weighs at least half of what the heaviest does. */
  lastGood: StoredRun | undefined;
  /** The newest run that weighs anything. */
  newest: StoredRun | undefined;
  /** The runs that were compared, in the order of their receipt. */
  compared: readonly StoredRun[];
}

/**
 * Which runs must not be let go, however old they are: one rule for `renew`, which asks it for the runs of one machine,
 * and `expire`, which asks for all runs of a backup name. A run that is far smaller replaces nothing, neither when a
 * machine loses a disk nor when a thief stores empty manifests.
 *
 * Runs received ahead of now, or dated later than their receipt, are no measure and replace nothing, unless all others
 * hold nothing. Runs are weighed from the newest on, and only as many as it takes to know.
 *
 * @param runs not broken, in the order of their receipt
 */
export async function goodRuns(
  runs: readonly StoredRun[],
  nowMs: number,
  scales: RunScales,
): Promise<GoodRuns> {
  const trusted = splitByClock(runs, nowMs).timely.filter((run) => !isDatedInTheFuture(run));
  const good = await choose(trusted, scales);
  if (trusted.length < runs.length && !good.hasWeight) return await choose(runs, scales);
  return good;
}

async function choose(
  runs: readonly StoredRun[],
  scales: RunScales,
): Promise<GoodRuns & { hasWeight: boolean }> {
  const scale = new Scale(runs, scales);
  let newest: StoredRun | undefined;
  for (const run of runs.toReversed()) {
    if (scale.most(run) < 1) continue;
    const weight = await scale.weigh(run);
    if (weight < 1) continue;
    newest ??= run;
    if (await scale.noneWeighsMore(2 * weight))
      return { lastGood: run, newest, compared: runs, hasWeight: true };
  }
  const last = await scale.newestUsable();
  return { lastGood: last, newest: last, compared: runs, hasWeight: false };
}

/** Weighs runs, each once. */
class Scale {
  readonly #runs: readonly StoredRun[];
  readonly #scales: RunScales;
  readonly #weights = new Map<StoredRun, number>();

  constructor(runs: readonly StoredRun[], scales: RunScales) {
    this.#runs = runs;
    this.#scales = scales;
  }

  /** What the run weighs, or may weigh at the most. */
  most(run: StoredRun): number {
    return this.#weights.get(run) ?? this.#scales.claim(run);
  }

  async weigh(run: StoredRun): Promise<number> {
    const known = this.#weights.get(run);
    if (known !== undefined) return known;
    const { weight, isUsable } = await this.#scales.weigh(run);
    const counted = isUsable ? weight : 0;
    this.#weights.set(run, counted);
    return counted;
  }

  /** Whether no run weighs more than that. Weighs those that say they do, until one does. */
  async noneWeighsMore(weight: number): Promise<boolean> {
    const heavy = this.#runs.filter((run) => this.most(run) > weight);
    heavy.sort((a, b) => this.most(b) - this.most(a));
    for (const run of heavy) if ((await this.weigh(run)) > weight) return false;
    return true;
  }

  /** Where no run weighs anything. */
  async newestUsable(): Promise<StoredRun | undefined> {
    for (const run of this.#runs.toReversed()) if ((await this.#scales.weigh(run)).isUsable) return run;
    return undefined;
  }
}
