import { SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore, Retention } from '../store/port.js';
import { FailureStreak } from './failure-streak.js';
import { sideBySide } from './side-by-side.js';
import { VersionTable } from './version-table.js';

const ASKED = 1;
const GONE = 2;
const IN_COMPLIANCE = 4;
const MAX_SECONDS = 0xffff_ffff;
const PROGRESS_ROWS = 500;

/** Failures that may be one version's own. */
export const ONE_VERSION_FAILS = ['ACCESS_DENIED', 'STORE_FAILED'];

export interface LockExtenderOptions {
  store: Pick<ObjectStore, 'getRetention' | 'extendRetention'>;
  concurrency: number;
  /** The store's time in seconds. */
  now: number;
  onEvent: EventListener | undefined;
  signal: AbortSignal | undefined;
}

/** Which locks are due, and what they become. */
export type Dates = Pick<LockDates, 'isDue' | 'untilFor' | 'retention'>;

/**
 * Asks for the locks of versions, each once, and extends those that are due. A lock keeps the mode it has; only where
 * none holds any more it gets the one that was promised: a manifest that was slipped in must not be able to turn
 * GOVERNANCE into COMPLIANCE, which nobody could undo.
 */
export class LockExtender {
  readonly table = new VersionTable();
  asked = 0;
  extended = 0;
  readonly #options: LockExtenderOptions;

  constructor(options: LockExtenderOptions) {
    this.#options = options;
  }

  isGone(row: number): boolean {
    return ((this.table.flags[row] ?? 0) & GONE) !== 0;
  }

  until(row: number): number {
    return this.table.until[row] ?? 0;
  }

  /**
   * Makes the locks of these versions reach what `dates` need; without `dates` only asks for them. Returns how many
   * of the versions are not locked long enough and could not be extended. Throws where that goes on in `failures`.
   */
  async extend(rows: Iterable<number>, dates: Dates | undefined, failures: FailureStreak): Promise<number> {
    let refused = 0;
    await sideBySide(rows, this.#options.concurrency, async (row) => {
      throwIfAborted(this.#options.signal);
      try {
        if (!this.#isAsked(row)) await this.#ask(row);
        const due = dates !== undefined && !this.isGone(row) && dates.isDue(this.until(row));
        if (due) await this.#extendOne(row, dates);
        failures.succeeded();
      } catch (error) {
        failures.failed(error);
        refused += 1;
      }
    });
    return refused;
  }

  #isAsked(row: number): boolean {
    return ((this.table.flags[row] ?? 0) & ASKED) !== 0;
  }

  async #ask(row: number): Promise<void> {
    const { table } = this;
    const [key, version] = [table.key(row), table.version(row)];
    this.asked += 1;
    if (this.asked % PROGRESS_ROWS === 0)
      this.#options.onEvent?.({ type: 'progress', phase: 'renew', entries: this.asked, bytes: 0 });
    try {
      // Without a version id a store would answer for whatever was stored last.
      if (version === '') throw new SysbackupError('NOT_FOUND', `${key} is named without a version`);
      this.#remember(row, await this.#options.store.getRetention(key, version));
    } catch (error) {
      if (!(error instanceof SysbackupError) || error.code !== 'NOT_FOUND') throw error;
      table.flags[row] = (table.flags[row] ?? 0) | ASKED | GONE;
    }
  }

  #remember(row: number, lock: Retention | undefined): void {
    this.table.until[row] = Math.min(lock?.until ?? 0, MAX_SECONDS);
    this.table.flags[row] = ASKED | (lock?.mode === 'COMPLIANCE' ? IN_COMPLIANCE : 0);
  }

  /** What spreads renewals over days: the content's own hash, as `archive` has it, or a number in its place. */
  #spread(row: number): Buffer {
    const sha = this.table.sha(row);
    if (sha !== undefined) return Buffer.from(sha, 'hex');
    const die = Buffer.alloc(32);
    die.writeUInt32BE(this.table.die(row), 28);
    return die;
  }

  async #extendOne(row: number, dates: Dates): Promise<void> {
    const { store, now, onEvent } = this.#options;
    const { table } = this;
    const [key, version] = [table.key(row), table.version(row)];
    const until = dates.untilFor(this.#spread(row));
    const promised = dates.retention(until);
    if (promised === undefined) return;
    const holds = this.until(row) > now;
    const inCompliance = ((table.flags[row] ?? 0) & IN_COMPLIANCE) !== 0;
    const mode = holds ? (inCompliance ? 'COMPLIANCE' : 'GOVERNANCE') : promised.mode;
    try {
      await store.extendRetention(key, version, { mode, until });
    } catch (error) {
      if (!(error instanceof SysbackupError)) throw error;
      if (error.code === 'NOT_FOUND') {
        table.flags[row] = (table.flags[row] ?? 0) | GONE;
        return;
      }
      if (error.code !== 'ACCESS_DENIED') throw error;
      // Somebody may have extended it meanwhile.
      await this.#ask(row);
      if (!this.isGone(row) && dates.isDue(this.until(row))) throw error;
      return;
    }
    this.#remember(row, { mode, until });
    this.extended += 1;
    onEvent?.({ type: 'renewed', key, version, until });
  }
}
