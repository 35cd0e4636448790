import type { CatalogHead } from '../catalog/head.js';
import type { EventListener, Problem } from '../events.js';
import type { RetentionClass } from '../manifest/types.js';
import { classUntil, periodDays, periodOf } from '../manifest/retention-classes.js';
import { DAY_SECONDS, LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import type { ContentObjects } from './content-objects.js';

/** The classes a run stands for, and the day by which each keeps it. */
export interface RunClass {
  name: RetentionClass;
  days: number;
  /** `2026-W47`, `2026-11` or `2026`. */
  period: string;
}

const CLASSES: readonly RetentionClass[] = ['weekly', 'monthly', 'yearly'];

/**
 * The classes whose week, month or year has had no run of this machine yet. By this machine's own memory, since a
 * listing would show a thief's runs too.
 */
export function classesOf(
  startMs: number,
  configured: Readonly<Partial<Record<RetentionClass, number>>>,
  head: CatalogHead | undefined,
): RunClass[] {
  return CLASSES.flatMap((name) => {
    const days = configured[name];
    const period = periodOf(name, startMs);
    return days === undefined || head?.classes[name] === period ? [] : [{ name, days, period }];
  });
}

export interface LockKeeperOptions {
  store: ObjectStore;
  objects: ContentObjects;
  locks: LockDates;
  startMs: number;
  daysRetained: number;
  report: (problem: Problem) => void;
  onEvent: EventListener;
}

/** A version that is not content: a snapshot's. */
export interface OtherVersion {
  key: string;
  version: string;
  until: number;
}

/**
 * Keeps what the run names locked long enough: while it lasts, at its end, and for the class it stands for.
 */
export class LockKeeper {
  readonly #options: LockKeeperOptions;
  #checkedMs: number;
  readonly #others: OtherVersion[] = [];

  constructor(options: LockKeeperOptions) {
    this.#options = options;
    this.#checkedMs = options.startMs;
  }

  add(version: OtherVersion): void {
    this.#others.push(version);
  }

  /**
   * A run that lasts longer than a quarter of what it promises renews what it has named so far, so that no lock ends
   * before its manifest is there. Cheap where that time has not passed.
   */
  async keepUp(): Promise<void> {
    const { store, locks, daysRetained } = this.#options;
    const nowMs = await store.now();
    if (nowMs - this.#checkedMs < (daysRetained * DAY_SECONDS * 1000) / 4) return;
    this.#checkedMs = nowMs;
    locks.advanceTo(nowMs);
    await this.#extend(locks);
  }

  /** Extends all that the run names for the classes it stands for. Returns the end of the manifest's own lock. */
  async keepForClasses(classes: readonly RunClass[]): Promise<number> {
    const { locks, startMs } = this.#options;
    let needed = locks.needed;
    if (locks.mode === undefined) return needed;
    for (const { name, days } of classes) {
      const until = classUntil(startMs, days);
      if (until <= needed) continue;
      needed = until;
      await this.#extend(LockDates.ofClass(until, periodDays(name), locks.mode));
    }
    return needed;
  }

  async #extend(locks: LockDates): Promise<void> {
    const refused = await this.#options.objects.extendUsed(locks);
    for (const other of this.#others) {
      if (locks.isDue(other.until) && !(await this.#extendOther(other, locks))) refused.push(other.key);
    }
    for (const key of refused) {
      const message = `the lock of ${key}, which this run names, could not be extended: it may go before the run does`;
      this.#options.report({ severity: 'failure', code: 'lock-not-extended', message });
    }
  }

  async #extendOther(other: OtherVersion, locks: LockDates): Promise<boolean> {
    const held = await this.#options.objects.extension.extend(
      other.key,
      other.version,
      locks.untilFor(Buffer.alloc(32)),
      locks,
    );
    if (held === undefined) return false;
    other.until = held;
    return true;
  }
}
