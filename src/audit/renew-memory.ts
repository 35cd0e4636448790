import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';

/** What is remembered of one manifest version. */
export interface RememberedRun {
  /** What everything it names is locked until at least, in seconds since the epoch. */
  until: number;
  /** What {@link RenewedRun.weight} was. */
  weight: number;
  /** Versions it names that do not exist. */
  missing: number;
}

type Row = [id: string, until: number, weight: number, missing: number];

const FORMAT = 1;

/**
 * What was found out about manifests in earlier calls. Locks are never shortened, so what is written here stays true;
 * it is believed only for the store that it was found out from.
 */
export class RenewMemory {
  readonly #path: string | undefined;
  readonly #store: string;
  readonly #before: ReadonlyMap<string, RememberedRun>;
  readonly #now = new Map<string, RememberedRun>();

  private constructor(path: string | undefined, store: string, before: Map<string, RememberedRun>) {
    this.#path = path;
    this.#store = store;
    this.#before = before;
  }

  /** A file that is not there, not whole or of another store counts as empty; `warn` is told of the second. */
  static open(path: string | undefined, store: string, warn: (message: string) => void): RenewMemory {
    const before = new Map<string, RememberedRun>();
    if (path === undefined) return new RenewMemory(path, store, before);
    try {
      const kept: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (isKept(kept) && kept.store === store)
        for (const [id, until, weight, missing] of kept.runs) before.set(id, { until, weight, missing });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT')
        warn(`${path} cannot be used (${messageOf(error)}): all manifests are read again`);
    }
    return new RenewMemory(path, store, before);
  }

  get(run: { key: string; version: string }): RememberedRun | undefined {
    const id = idOf(run);
    return this.#now.get(id) ?? this.#before.get(id);
  }

  set(run: { key: string; version: string }, remembered: RememberedRun): void {
    this.#now.set(idOf(run), remembered);
  }

  /**
   * Writes the file anew: of the keys with this prefix the runs that are still listed, of others all. Throws SYSTEM
   * where it cannot be written.
   */
  save(listed: Iterable<{ key: string; version: string }>, prefix: string): void {
    if (this.#path === undefined) return;
    const runs: Row[] = [];
    for (const run of listed) {
      const remembered = this.get(run);
      if (remembered) runs.push([idOf(run), remembered.until, remembered.weight, remembered.missing]);
    }
    for (const [id, { until, weight, missing }] of this.#before)
      if (!id.startsWith(prefix)) runs.push([id, until, weight, missing]);
    try {
      const whole = JSON.stringify({ format: FORMAT, store: this.#store, runs });
      writeFileSync(`${this.#path}.new`, `${whole}\n`, { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      throw new SysbackupError('SYSTEM', `cannot write ${this.#path}: ${messageOf(error)}`, { cause: error });
    }
  }
}

function idOf({ key, version }: { key: string; version: string }): string {
  return `${key} ${version}`;
}

function isKept(value: unknown): value is { store: string; runs: Row[] } {
  if (typeof value !== 'object' || value === null) return false;
  if (!('format' in value) || value.format !== FORMAT || !('runs' in value) || !Array.isArray(value.runs))
    return false;
  return value.runs.every(
    (row) =>
      Array.isArray(row) &&
      typeof row[0] === 'string' &&
      row.slice(1).every(Number.isSafeInteger) &&
      row.length === 4,
  );
}
