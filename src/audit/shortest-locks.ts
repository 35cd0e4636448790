import type { BackupSets } from './backup-sets.js';
import type { ShortestLock } from './verify-options.js';
import type { VersionTable } from './version-table.js';

type Lock = Omit<ShortestLock, 'backup'>;

/** The lock that ends first, of each backup. */
export class ShortestLocks {
  readonly #backups: { name: string; lock: Lock | undefined }[] = [];

  /** The number by which a backup goes here. */
  add(name: string): number {
    return this.#backups.push({ name, lock: undefined }) - 1;
  }

  of(backup: number, lock: Lock): void {
    const entry = this.#backups[backup];
    if (entry !== undefined && (entry.lock === undefined || lock.until < entry.lock.until)) entry.lock = lock;
  }

  /** Takes in all rows whose flags have `asked`. */
  ofRows(table: VersionTable, sets: BackupSets, asked: number): void {
    const firstOfSet = new Map<number, number>();
    for (let row = 0; row < table.count; row++) {
      if (((table.flags[row] ?? 0) & asked) === 0) continue;
      const set = table.set[row] ?? 0;
      const first = firstOfSet.get(set);
      if (first === undefined || (table.until[row] ?? 0) < (table.until[first] ?? 0))
        firstOfSet.set(set, row);
    }
    for (const [set, row] of firstOfSet) {
      const lock = { until: table.until[row] ?? 0, key: table.key(row), version: table.version(row) };
      for (const backup of sets.members(set)) this.of(backup, lock);
    }
  }

  all(): ShortestLock[] {
    return this.#backups.flatMap(({ name, lock }) => (lock === undefined ? [] : [{ backup: name, ...lock }]));
  }
}
