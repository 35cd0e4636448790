import type { Retention, RetentionMode } from './port.js';

export const DAY_SECONDS = 86_400;

/** For objects of a store without locks: nothing is ever due. It is the last second that a catalog can hold, in 2106. */
export const NO_LOCK = 0xffff_ffff;

/** Slack in days, at least (half of `days_retained` where that is more). */
const LEAST_SLACK_DAYS = 7;

/**
 * When locks end. What a run names must be locked until a date; what is locked at all is locked further, by a slack
 * of which each key takes between half and all, so that an object is renewed once in several runs and not all fall
 * due on one day.
 */
export class LockDates {
  /** Undefined for a store without locks. */
  readonly mode: RetentionMode | undefined;
  readonly #days: number;
  readonly #slackSeconds: number;
  #needed: number;

  private constructor(mode: RetentionMode | undefined, needed: number, days: number, slackSeconds: number) {
    this.mode = mode;
    this.#needed = needed;
    this.#days = days;
    this.#slackSeconds = slackSeconds;
  }

  /** Of a run that began at `startMs` by the store's clock, and keeps what it names for so many days. */
  static ofRun(startMs: number, days: number, mode: RetentionMode | undefined): LockDates {
    const slack = Math.max(LEAST_SLACK_DAYS, days / 2) * DAY_SECONDS;
    return new LockDates(mode, Math.ceil(startMs / 1000) + days * DAY_SECONDS, days, slack);
  }

  /** Of a run that stands for a week, month or year: until `needed`, and one period more where it is extended. */
  static ofClass(needed: number, periodDays: number, mode: RetentionMode | undefined): LockDates {
    // Twice, since a key takes half of its slack at the least, and that must be the period.
    return new LockDates(mode, needed, 0, 2 * periodDays * DAY_SECONDS);
  }

  /** Seconds since the epoch: what every object that the run names must reach. */
  get needed(): number {
    return this.#needed;
  }

  /** A run that lasts moves what it needs along with the store's time. */
  advanceTo(nowMs: number): void {
    this.#needed = Math.max(this.#needed, Math.ceil(nowMs / 1000) + this.#days * DAY_SECONDS);
  }

  /** The end of a lock given now to the object whose SHA-256 this is. */
  untilFor(sha: Uint8Array): number {
    if (this.mode === undefined) return NO_LOCK;
    // Four bytes of a hash are as good a die as any, and the same on every machine.
    const die =
      (((sha[28] ?? 0) << 24) | ((sha[29] ?? 0) << 16) | ((sha[30] ?? 0) << 8) | (sha[31] ?? 0)) >>> 0;
    return this.#needed + Math.ceil(this.#slackSeconds * (0.5 + die / 2 ** 33));
  }

  isDue(until: number): boolean {
    // Of a lock that ends after 2106 no more than that is known, and it would be moved out in every run.
    return this.mode !== undefined && until < Math.min(this.#needed, NO_LOCK);
  }

  retention(until: number): Retention | undefined {
    return this.mode === undefined ? undefined : { mode: this.mode, until };
  }
}
