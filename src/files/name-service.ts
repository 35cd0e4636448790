import { messageOf } from '../errors.js';
import { type RunProgram, runProgram } from './run-program.js';

/** How the system's user database is asked. */
export interface NameServiceOptions {
  /** Default: really runs it. */
  run?: RunProgram;
  /** Environment of `getent`. Default: the standard PATH, and nothing else. */
  env?: Readonly<Record<string, string>>;
  /** For one call of `getent`, in milliseconds. Default 60,000: a directory server may be slow. */
  timeoutMs?: number;
}

export type Database = 'passwd' | 'group';

/** One line of the database. */
export interface Account {
  name: string;
  id: number;
}

const DEFAULT_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
/** Keys per call: far below the limit of a command line, and enough that no machine needs many calls. */
const BATCH = 500;
/** What `getent` exits with where some key was not found. */
const SOME_MISSING = 2;
/**
 * Asked for last in every call: glibc's `getent` prints what it finds of all keys, musl's ends at the first that
 * is missing, and root's line tells whether it got to the end.
 */
const ROOT = '0';

/** NSS, through `getent`, so that files, LDAP, SSSD and systemd's users all count. */
export class NameService {
  readonly #run: RunProgram;
  readonly #env: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  /** Why the last call failed; undefined where all went well. What a failed call was asked counts as unknown. */
  failure: string | undefined;

  constructor(options: NameServiceOptions = {}) {
    this.#run = options.run ?? runProgram;
    this.#env = options.env ?? DEFAULT_ENV;
    this.#timeoutMs = options.timeoutMs ?? 60_000;
  }

  /**
   * The accounts that these keys (names, or ids in decimal) lead to; root's may be among them unasked. Never
   * rejects: see {@link failure}.
   */
  async find(database: Database, keys: readonly string[]): Promise<Account[]> {
    const found: Account[] = [];
    let rest = keys;
    while (rest.length > 0) {
      const batch = rest.slice(0, BATCH);
      const accounts = await this.#call(database, [...batch, ROOT]);
      if (!accounts) break;
      found.push(...accounts);
      rest = rest.slice(gotToTheEnd(batch, accounts) ? batch.length : answered(batch, accounts) + 1);
    }
    return found;
  }

  async #call(database: Database, keys: readonly string[]): Promise<Account[] | undefined> {
    try {
      const { status, stdout, stderr } = await this.#run('getent', [database, ...keys], {
        env: this.#env,
        timeoutMs: this.#timeoutMs,
      });
      if (status === 0 || status === SOME_MISSING) return accountsIn(stdout.toString('utf8'));
      this.failure =
        status === null
          ? `getent ${database} was stopped after ${this.#timeoutMs / 1000} s`
          : `getent ${database} exited with ${status}: ${stderr.toString('utf8').trim()}`;
    } catch (error) {
      this.failure = `getent ${database} could not be run: ${messageOf(error)}`;
    }
    return undefined;
  }
}

/** Whether there is a line for root besides those that the keys themselves lead to. */
function gotToTheEnd(keys: readonly string[], accounts: readonly Account[]): boolean {
  const roots = accounts.filter(({ id }) => id === 0);
  const names = new Set(['0', ...roots.map(({ name }) => name)]);
  return roots.length > keys.filter((key) => names.has(key)).length;
}

/** How many keys from the first on have an answer. */
function answered(keys: readonly string[], accounts: readonly Account[]): number {
  const answers = new Set(accounts.flatMap(({ name, id }) => [name, String(id)]));
  const missing = keys.findIndex((key) => !answers.has(key));
  return missing === -1 ? keys.length : missing;
}

function accountsIn(text: string): Account[] {
  const accounts: Account[] = [];
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    // A name that is no valid UTF-8 shows as U+FFFD and could not be looked up again.
    if (!name || name.includes('\ufffd') || !id || !/^\d+$/.test(id)) continue;
    accounts.push({ name, id: Number(id) });
  }
  return accounts;
}

/** Answers that are asked for once each, however many ask, and at the same time. */
export class AskOnce<Key, Answer> {
  readonly known = new Map<Key, Answer>();
  readonly #pending = new Map<Key, Promise<void>>();
  readonly #ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Answer>>;

  /** `ask` must answer for every key it is given. */
  constructor(ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Answer>>) {
    this.#ask = ask;
  }

  /** Afterwards all of these are `known`. */
  async resolve(keys: Iterable<Key>): Promise<void> {
    const waits = new Set<Promise<void>>();
    const unknown = new Set<Key>();
    for (const key of keys) {
      if (this.known.has(key)) continue;
      const pending = this.#pending.get(key);
      if (pending) waits.add(pending);
      else unknown.add(key);
    }
    if (unknown.size > 0) waits.add(this.#start([...unknown]));
    await Promise.all(waits);
  }

  #start(keys: readonly Key[]): Promise<void> {
    const work = this.#ask(keys).then((answers) => {
      for (const [key, answer] of answers) this.known.set(key, answer);
    });
    for (const key of keys) this.#pending.set(key, work);
    return work.finally(() => {
      for (const key of keys) this.#pending.delete(key);
    });
  }
}
