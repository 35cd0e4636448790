import { AskOnce, type Database, NameService, type NameServiceOptions } from './name-service.js';

/** What files' owners are called, for the way into a backup. Each id is asked for once. */
export class OwnerNames {
  readonly #service: NameService;
  readonly #users: AskOnce<number, string | number>;
  readonly #groups: AskOnce<number, string | number>;

  constructor(options: NameServiceOptions = {}) {
    this.#service = new NameService(options);
    this.#users = new AskOnce((ids) => this.#ask('passwd', ids));
    this.#groups = new AskOnce((ids) => this.#ask('group', ids));
  }

  /** The name, the number itself where there is none, undefined where {@link resolve} has not been asked yet. */
  nameOfUser(uid: number): string | number | undefined {
    return this.#users.known.get(uid);
  }

  nameOfGroup(gid: number): string | number | undefined {
    return this.#groups.known.get(gid);
  }

  /** Looks up those not known yet. Never rejects: what cannot be found out stays a number. */
  async resolve(uids: Iterable<number>, gids: Iterable<number>): Promise<void> {
    await Promise.all([this.#users.resolve(uids), this.#groups.resolve(gids)]);
  }

  /** Why names could not be asked for, for a note to the person; undefined where all went well. */
  get failure(): string | undefined {
    return this.#service.failure;
  }

  async #ask(database: Database, ids: readonly number[]): Promise<ReadonlyMap<number, string | number>> {
    const answers = new Map<number, string | number>(ids.map((id) => [id, id]));
    for (const { name, id } of await this.#service.find(database, ids.map(String)))
      if (answers.get(id) === id) answers.set(id, name);
    return answers;
  }
}

/** Which ids names have on this machine, for the way back. Each name is asked for once. */
export class OwnerIds {
  readonly #service: NameService;
  readonly #users: AskOnce<string, number | undefined>;
  readonly #groups: AskOnce<string, number | undefined>;

  constructor(options: NameServiceOptions = {}) {
    this.#service = new NameService(options);
    this.#users = new AskOnce((names) => this.#ask('passwd', names));
    this.#groups = new AskOnce((names) => this.#ask('group', names));
  }

  /** Looks up the names among these; numbers need none. Never rejects. */
  async resolve(users: Iterable<string | number>, groups: Iterable<string | number>): Promise<void> {
    await Promise.all([this.#users.resolve(onlyNames(users)), this.#groups.resolve(onlyNames(groups))]);
  }

  /**
   * The uid that an entry's owner has here. A name leads to whoever is called so here; `recorded`, the uid it had
   * there, counts only where nobody is. Undefined where neither is to be had.
   *
   * @throws Error where the name was not given to {@link resolve} before.
   */
  uidOf(owner: string | number, recorded?: number): number | undefined {
    return idOf(owner, recorded, this.#users);
  }

  gidOf(group: string | number, recorded?: number): number | undefined {
    return idOf(group, recorded, this.#groups);
  }

  /** Why ids could not be asked for, for a note to the person; undefined where all went well. */
  get failure(): string | undefined {
    return this.#service.failure;
  }

  async #ask(database: Database, names: readonly string[]): Promise<ReadonlyMap<string, number | undefined>> {
    const answers = new Map<string, number | undefined>(names.map((name) => [name, undefined]));
    for (const { name, id } of await this.#service.find(database, names.filter(canBeAskedFor)))
      if (answers.has(name)) answers.set(name, id);
    return answers;
  }
}

/**
 * The text comes from a manifest: it must not pass for an option of `getent`, and a NUL cannot be passed on.
 * Digits alone would be taken for an id, and answered with the user of that id, whatever it is called.
 */
function canBeAskedFor(name: string): boolean {
  return /^[^-\0\n:][^\0\n:]{0,255}$/.test(name) && !/^\d+$/.test(name);
}

function onlyNames(owners: Iterable<string | number>): string[] {
  const names: string[] = [];
  for (const owner of owners) if (typeof owner === 'string') names.push(owner);
  return names;
}

function idOf(
  owner: string | number,
  recorded: number | undefined,
  asked: AskOnce<string, number | undefined>,
): number | undefined {
  if (typeof owner === 'number') return owner;
  const id = asked.known.get(owner);
  if (id === undefined && !asked.known.has(owner)) throw new Error(`the name ${owner} was never asked for`);
  return id ?? recorded ?? (/^\d{1,10}$/.test(owner) ? Number(owner) : undefined);
}
