import type { ObjectTable } from '../catalog/object-table.js';
import type { LockDates } from '../store/lock-dates.js';
import type { LockedRows } from './keep.js';
import { isWorthKeeping } from './content-objects.js';

/** Which locks a run would move out, if the store agreed to all of it. Marks what is used, and changes nothing else. */
export class RenewalForecast implements LockedRows {
  readonly #table: ObjectTable;
  readonly #locks: LockDates;
  readonly #rows = new Set<number>();
  readonly #bundles = new Set<number>();

  constructor(table: ObjectTable, locks: LockDates) {
    this.#table = table;
    this.#locks = locks;
  }

  /** Objects and bundles whose locks are moved out for this run. */
  get count(): number {
    return this.#rows.size + this.#bundles.size;
  }

  isCurrent(row: number): boolean {
    return !this.#table.isGone(row) && !this.#locks.isDue(this.#table.until(row));
  }

  renew(row: number): boolean {
    if (this.#table.isMember(row)) {
      const { bundle } = this.#table.member(row);
      if (!isWorthKeeping(this.#table.bundles.get(bundle))) return false;
      this.#bundles.add(bundle);
    } else this.#rows.add(row);
    this.#table.markUsed(row);
    return true;
  }

  /**
   * Objects and bundles that are known and not kept, as far as is known; contents that are read may turn out to be
   * these. `due`: those of them whose locks would have to be moved out for it.
   */
  get notKept(): { all: number; due: number } {
    const counts = { all: 0, due: 0 };
    const count = (until: number): void => {
      counts.all++;
      if (this.#locks.isDue(until)) counts.due++;
    };
    for (let row = 0; row < this.#table.size; row++) {
      if (this.#table.isMember(row) || this.#table.isGone(row) || this.#table.isUsed(row)) continue;
      count(this.#table.until(row));
    }
    const { bundles } = this.#table;
    for (let bundle = 0; bundle < bundles.size; bundle++) {
      const state = bundles.get(bundle);
      if (!state.gone && state.live === 0) count(state.until);
    }
    return counts;
  }

  /** How often locks of what is used are moved out at the end, for each of these dates in turn. */
  forClasses(dates: readonly LockDates[]): number {
    let count = 0;
    const extend = (sha: Uint8Array, until: number, due: boolean): void => {
      let held = due ? this.#locks.untilFor(sha) : until;
      for (const date of dates) {
        if (!date.isDue(held)) continue;
        held = date.untilFor(sha);
        count++;
      }
    };
    if (dates.length === 0) return 0;
    const { bundles } = this.#table;
    for (let bundle = 0; bundle < bundles.size; bundle++) {
      const { sha, until, live } = bundles.get(bundle);
      if (live > 0) extend(sha, until, this.#bundles.has(bundle));
    }
    for (let row = 0; row < this.#table.size; row++) {
      if (!this.#table.isUsed(row) || this.#table.isMember(row)) continue;
      extend(this.#table.sha(row), this.#table.until(row), this.#rows.has(row));
    }
    return count;
  }
}
