import { classUntil, periodDays, periodOf } from '../manifest/retention-classes.js';
import type { StoredRun } from '../manifest/runs.js';
import type { RetentionClass } from '../manifest/types.js';
import { LockDates } from '../store/lock-dates.js';
import { goodRuns } from './good-runs.js';
import type { RenewMemory } from './renew-memory.js';
import type { RenewedMachine, RenewedRun, RenewReason } from './renew-options.js';
import { type DatesFor, problemOf, type RunOutlook, type RunRenewer } from './renew-run.js';

const CLASSES: readonly RetentionClass[] = ['weekly', 'monthly', 'yearly'];

export interface MachineRenewalOptions {
  renewer: RunRenewer;
  memory: RenewMemory;
  /** The store's time in milliseconds. */
  nowMs: number;
  days: number;
  daysRetained: number;
  classes: Readonly<Partial<Record<RetentionClass, number>>>;
  runsPerMachine: number;
}

type Weighed = Pick<RunOutlook, 'weight' | 'state'>;

/**
 * Renews the runs of one machine under one backup name (that is: those whose run ids carry the same mark), all by
 * the store's time of receipt, never by the time in a run id. Broken runs take no part.
 *
 * A run's *weight* is the number of different contents of its files and snapshots that the store has: nothing that
 * can be made up for free counts (folders, empty files, versions that do not exist, one content named a thousand
 * times), and a manifest that is damaged weighs nothing. Renewed are
 *
 * 1. the runs received in the last `days` days, each of them;
 * 2. however old it is, the **last good** run: the newest that weighs at least half of what the heaviest does among
 *    all runs that are still there. So a run that is far smaller replaces nothing: neither when a machine loses a
 *    disk nor when a thief stores empty manifests, one or a thousand, each day or a little smaller each time within
 *    the life of the heaviest;
 * 3. however old it is, the **newest** run that weighs anything;
 * 4. of each week, month and year that has recent runs the first that weighs at least half of the heaviest, until the
 *    end of its class.
 *
 * Which the runs of 2 and 3 are decides {@link goodRuns}, for `expire` too. Runs received ahead of now, or dated later
 * than their receipt, take part in 2 to 4 only where all others hold nothing.
 *
 * A backup that became smaller with good reason keeps its larger predecessor until somebody says so (`accepted`).
 * Numbers cannot tell a true backup from one of as many invented contents that were really stored; who must be safe
 * from a thief with that much patience gives `classes`, whose locks outlast him.
 *
 * Each run of rule 2 to 4 is first weighed, and only then extended, so that what is looked at does not live on for
 * it. Of more than `runsPerMachine` runs the first received are looked at: what a flood brings comes later.
 */
export class MachineRenewal {
  readonly outcomes = new Map<StoredRun, RenewedRun>();
  readonly #options: MachineRenewalOptions;
  readonly #recent: StoredRun[];
  readonly #old: StoredRun[];
  readonly #all: readonly StoredRun[];
  readonly #weighed = new Map<StoredRun, Weighed>();
  /** The date up to which a run was renewed in this call, as far as that was possible. */
  readonly #tried = new Map<StoredRun, number>();
  readonly #claims = new Map<StoredRun, number>();
  readonly #unread: number;

  /** @param runs one machine's, at least one, in the order of their receipt */
  constructor(runs: readonly StoredRun[], options: MachineRenewalOptions) {
    this.#options = options;
    const since = options.nowMs - options.days * 86_400_000;
    const recent = runs.filter(({ received }) => received >= since);
    const old = runs.filter(({ received }) => received < since);
    this.#recent = recent.slice(0, options.runsPerMachine);
    this.#old = old.slice(0, options.runsPerMachine);
    this.#all = [...this.#old, ...this.#recent];
    this.#unread = runs.length - this.#all.length;
  }

  /** How many runs it looks at, or will. */
  get size(): number {
    return this.#all.length;
  }

  async renew(): Promise<RenewedMachine> {
    for (const run of this.#old) this.#claims.set(run, await this.#claimOf(run));
    for (const run of this.#recent)
      this.#weighed.set(run, await this.#renew(run, 'recent', this.#baseDates()));
    const { lastGood, newest, compared } = await goodRuns(this.#all, this.#options.nowMs, {
      claim: (run) => this.#claim(run),
      weigh: async (run) => {
        const { weight, state } = await this.#weigh(run);
        return { weight, isUsable: state !== 'damaged' && state !== 'unlocked' };
      },
    });
    if (lastGood) await this.#renew(lastGood, 'last-good', this.#baseDates());
    if (newest) await this.#renew(newest, 'newest', this.#baseDates());
    const heaviest = Math.max(0, ...compared.map((run) => this.#weighed.get(run)?.weight ?? 0));
    for (const name of CLASSES) await this.#renewClass(name, compared, heaviest / 2);
    const [first] = this.#all;
    return {
      backup: first?.backup ?? '',
      machine: first?.machine ?? '',
      lastGood: lastGood?.run,
      newest: newest?.run,
      shrunk: newest !== undefined && newest !== lastGood,
      unread: this.#unread,
    };
  }

  async #renewClass(name: RetentionClass, runs: readonly StoredRun[], least: number): Promise<void> {
    const days = this.#options.classes[name];
    if (days === undefined) return;
    const recent = new Set(this.#recent);
    const periods = runs.filter((run) => recent.has(run)).map(({ received }) => periodOf(name, received));
    for (const period of new Set(periods)) {
      const run = await this.#firstOf(name, runs, period, least);
      if (!run) continue;
      const needed = classUntil(run.received, days);
      if (needed * 1000 <= this.#options.nowMs) continue;
      await this.#renew(run, name, (mode) => LockDates.ofClass(needed, periodDays(name), mode));
    }
  }

  async #firstOf(
    name: RetentionClass,
    runs: readonly StoredRun[],
    period: string,
    least: number,
  ): Promise<StoredRun | undefined> {
    for (const run of runs) {
      if (periodOf(name, run.received) !== period || this.#claim(run) < least) continue;
      const { weight } = await this.#weigh(run);
      if (weight > 0 && weight >= least) return run;
    }
    return undefined;
  }

  #baseDates(): DatesFor {
    return (mode) => LockDates.ofRun(this.#options.nowMs, this.#options.daysRetained, mode);
  }

  async #claimOf(run: StoredRun): Promise<number> {
    return this.#options.memory.get(run)?.weight ?? (await this.#options.renewer.claimOf(run));
  }

  /** The most that a run can weigh. */
  #claim(run: StoredRun): number {
    return this.#weighed.get(run)?.weight ?? this.#claims.get(run) ?? 0;
  }

  async #weigh(run: StoredRun): Promise<Weighed> {
    const known = this.#weighed.get(run);
    if (known) return known;
    const { memory, renewer } = this.#options;
    const remembered = memory.get(run);
    const weighed = remembered
      ? { ...remembered, state: 'renewed' as const }
      : await renewer.look(run, undefined);
    this.#weighed.set(run, weighed);
    if ('problem' in weighed && weighed.problem !== undefined) this.#outcome(run, weighed);
    return weighed;
  }

  /** Extends what is due, unless it is remembered that nothing is. */
  async #renew(run: StoredRun, reason: RenewReason, datesFor: DatesFor): Promise<Weighed> {
    const { memory, renewer } = this.#options;
    const known = this.outcomes.get(run);
    const remembered = memory.get(run);
    // What a date is counted from does not depend on the mode.
    const { needed } = datesFor('GOVERNANCE');
    const isHeld = remembered !== undefined && remembered.until >= needed;
    if (known && (isHeld || known.state === 'damaged' || (this.#tried.get(run) ?? 0) >= needed)) {
      known.reasons.push(reason);
      return { weight: known.weight, state: known.state === 'current' ? 'renewed' : known.state };
    }
    if (isHeld) {
      const problem = problemOf(remembered.missing, 0);
      this.#outcome(run, { ...remembered, state: 'current', refused: 0, problem }).reasons.push(reason);
      return { weight: remembered.weight, state: 'renewed' };
    }
    this.#tried.set(run, needed);
    const outlook = await renewer.look(run, datesFor);
    const { weight, until, missing } = outlook;
    if (!outlook.stopped) memory.set(run, { weight, until, missing });
    this.#outcome(run, outlook).reasons.push(reason);
    return outlook;
  }

  #outcome(run: StoredRun, outlook: Pick<RenewedRun, keyof Omit<RunOutlook, 'stopped'>>): RenewedRun {
    const { backup, machine, key, version, received } = run;
    const reasons = this.outcomes.get(run)?.reasons ?? [];
    const { state, weight, until, missing, refused, problem } = outlook;
    const outcome = { backup, run: run.run, machine, key, version, received, reasons };
    const whole: RenewedRun = { ...outcome, state, weight, until, missing, refused, problem };
    this.outcomes.set(run, whole);
    return whole;
  }
}
