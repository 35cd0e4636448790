import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { readFooter } from '../manifest/footer.js';
import { readManifest } from '../manifest/reader.js';
import type { StoredRun } from '../manifest/runs.js';
import { OLDER_FORMAT } from '../manifest/types.js';
import { shellWord } from '../shell-word.js';
import type { ObjectStore } from '../store/port.js';
import { DistinctContents } from './distinct-contents.js';
import type { RunScales } from './good-runs.js';
import { sideBySide } from './side-by-side.js';
import { VersionTable } from './version-table.js';

const AT_ONCE = 16;
const ASKED = 1;
const GONE = 2;

type ReadableStore = Pick<ObjectStore, 'get' | 'head' | 'list' | 'getRetention' | 'description'>;

/**
 * What the runs of a directory store weigh. Unlike `renew`, whose store may be far away, it takes only what is damaged
 * for worthless: where something cannot be read for another reason nobody knows what it holds, and that is thrown.
 */
export class StoredWeights implements RunScales {
  readonly #store: ReadableStore;
  readonly #signal: AbortSignal | undefined;
  readonly #claims = new Map<StoredRun, number>();
  readonly #damaged = new Map<StoredRun, SysbackupError>();
  readonly #table = new VersionTable();
  #serial = 0;

  constructor(store: ReadableStore, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  /** Reads what the footers of these runs say. */
  async readClaims(runs: readonly StoredRun[]): Promise<void> {
    await sideBySide(runs, AT_ONCE, async (run) => {
      throwIfAborted(this.#signal);
      this.#claims.set(run, (await this.#try(run, () => this.#claimOf(run))) ?? 0);
    });
  }

  claim(run: StoredRun): number {
    return this.#claims.get(run) ?? 0;
  }

  async weigh(run: StoredRun): Promise<{ weight: number; isUsable: boolean }> {
    const weight = this.#damaged.has(run) ? undefined : await this.#try(run, () => this.#weightOf(run));
    return { weight: weight ?? 0, isUsable: weight !== undefined };
  }

  /**
   * Throws REFUSED where a run that was received after this one could not be read: what it names would be removed, and
   * nobody knows what that is.
   *
   * @param runs in the order of their receipt
   */
  refuseDamagedAfter(newest: StoredRun | undefined, runs: readonly StoredRun[]): void {
    const later = newest === undefined ? runs : runs.slice(runs.indexOf(newest) + 1);
    for (const run of later) {
      const error = this.#damaged.get(run);
      if (error) throw nothingRemoved(run, this.#store.description, error);
    }
  }

  async #claimOf({ format, key, version, size }: StoredRun): Promise<number> {
    // Only reading all of it tells.
    if (format === OLDER_FORMAT) return Number.POSITIVE_INFINITY;
    const { counts } = await readFooter(this.#store, key, version, size);
    return counts.f + counts.s;
  }

  async #weightOf({ backup, key, version }: StoredRun): Promise<number> {
    const table = this.#table;
    const named = new DistinctContents(backup, table, ++this.#serial);
    let weight = 0;
    for await (const lines of readManifest(this.#store, key, version, { signal: this.#signal })) {
      const { versions, contents } = named.take(lines);
      const unknown = versions.filter((row) => ((table.flags[row] ?? 0) & ASKED) === 0);
      await sideBySide(unknown, AT_ONCE, (row) => this.#ask(row));
      weight += contents.filter((rows) => !rows.some((row) => this.#isGone(row))).length;
    }
    return weight;
  }

  async #ask(row: number): Promise<void> {
    const table = this.#table;
    let flags = ASKED;
    try {
      await this.#store.getRetention(table.key(row), table.version(row));
    } catch (error) {
      if (!(error instanceof SysbackupError) || error.code !== 'NOT_FOUND') throw error;
      flags |= GONE;
    }
    table.flags[row] = flags;
  }

  #isGone(row: number): boolean {
    return ((this.#table.flags[row] ?? 0) & GONE) !== 0;
  }

  /** Undefined for what is damaged. */
  async #try<T>(run: StoredRun, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      throwIfAborted(this.#signal);
      if (!(error instanceof SysbackupError) || (error.code !== 'DAMAGED' && error.code !== 'NOT_FOUND'))
        throw error;
      this.#damaged.set(run, error);
      return undefined;
    }
  }
}

/** The error that ends `expire` before anything is removed. */
export function nothingRemoved(run: StoredRun, root: string, cause: unknown): SysbackupError {
  return new SysbackupError(
    'REFUSED',
    `nothing was removed: the manifest of ${run.backup}/${run.run} cannot be read: ${messageOf(cause)}`,
    {
      hint:
        'See what `s3-sysbackup verify` says of it. To do without it: ' +
        `s3-sysbackup verify --set-aside ${shellWord(`${run.backup}/${run.run}`)} --directory ${shellWord(root)}`,
      cause,
    },
  );
}
