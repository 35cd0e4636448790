import type { Retention, RetentionMode } from './port.js';

export const DAY_SECONDS = 86_400;

/** For objects of a store without locks: nothing is ever due. */
export const NO_LOCK = 0xffff_ffff;

/**
 * When locks end. A run needs what it names to be locked until its start plus `days`; what it stores or renews it
 * locks further, by a slack of which each key takes between half and all, so that an object is renewed once in
 * several runs and not all fall due on one day.
 */
export class LockDates {
  readonly mode: RetentionMode | undefined;
  /** Seconds since the epoch: what every object that the run names must reach. */
  readonly needed: number;
  readonly #slackSeconds: number;

  /** @param startMs the run's start by the store's clock; `mode` undefined for a store without locks */
  constructor(startMs: number, days: number, mode: RetentionMode | undefined) {
    this.mode = mode;
    this.needed = Math.ceil(startMs / 1000) + days * DAY_SECONDS;
    this.#slackSeconds = Math.max(7, days / 2) * DAY_SECONDS;
  }

  /** The end of a lock given now to the object whose SHA-256 this is. */
  untilFor(sha: Uint8Array): number {
    if (this.mode === undefined) return NO_LOCK;
    // Four bytes of a hash are as good a die as any, and the same on every machine.
    const die = (((sha[28] ?? 0) << 24) | ((sha[29] ?? 0) << 16) | ((sha[30] ?? 0) << 8) | (sha[31] ?? 0)) >>> 0;
    return this.needed + Math.ceil(this.#slackSeconds * (0.5 + die / 2 ** 33));
  }

  isDue(until: number): boolean {
    return this.mode !== undefined && until < this.needed;
  }

  retention(until: number): Retention | undefined {
    return this.mode === undefined ? undefined : { mode: this.mode, until };
  }
}
