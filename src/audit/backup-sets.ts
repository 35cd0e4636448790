/**
 * Which backups share something, as small numbers: 0 is nobody. Sets grow by one backup at a time, and the same
 * backups always make the same set as long as all come in ascending order.
 */
export class BackupSets {
  readonly #parent: number[] = [0];
  readonly #last: number[] = [-1];
  readonly #grown = new Map<string, number>();

  /** The set with this backup in it. */
  with(set: number, backup: number): number {
    if (this.#last[set] === backup) return set;
    const step = `${set} ${backup}`;
    const known = this.#grown.get(step);
    if (known !== undefined) return known;
    const made = this.#parent.push(set) - 1;
    this.#last.push(backup);
    this.#grown.set(step, made);
    return made;
  }

  /** The backups of a set. */
  *members(set: number): Generator<number> {
    for (let at = set; at > 0; at = this.#parent[at] ?? 0) yield this.#last[at] ?? -1;
  }
}
