import type { OwnerNames } from '../files/owners.js';

/** Owners' names, and which of them this run's entries were written with: the catalog keeps that list. */
export class NamesUsed {
  readonly #names: OwnerNames;
  readonly users: Record<string, string | number> = {};
  readonly groups: Record<string, string | number> = {};

  constructor(names: OwnerNames) {
    this.#names = names;
  }

  nameOfUser(uid: number): string | number | undefined {
    const name = this.#names.nameOfUser(uid);
    if (name !== undefined) this.users[uid] = name;
    return name;
  }

  nameOfGroup(gid: number): string | number | undefined {
    const name = this.#names.nameOfGroup(gid);
    if (name !== undefined) this.groups[gid] = name;
    return name;
  }

  resolve(uids: Iterable<number>, gids: Iterable<number>): Promise<void> {
    return this.#names.resolve(uids, gids);
  }

  /**
   * Looks up the ids an earlier run's entries were written with. Returns those called differently now: entries that
   * show them are made anew.
   */
  async changedSince(users: Record<string, string | number>, groups: Record<string, string | number>) {
    const uids = Object.keys(users).map(Number);
    const gids = Object.keys(groups).map(Number);
    await this.resolve(uids, gids);
    return {
      users: new Set(uids.filter((uid) => this.nameOfUser(uid) !== users[uid])),
      groups: new Set(gids.filter((gid) => this.nameOfGroup(gid) !== groups[gid])),
    };
  }
}
