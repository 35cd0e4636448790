import { SysbackupError } from '../errors.js';
import { type FetchedManifest, fetchManifest } from '../manifest/fetch.js';
import { readFooter } from '../manifest/footer.js';
import type { StoredRun } from '../manifest/runs.js';
import type { ManifestFooter, ManifestLine } from '../manifest/types.js';
import type { Retention } from '../store/port.js';
import { StoreError } from '../store/store-error.js';
import { DistinctContents } from './distinct-contents.js';
import { FailureStreak } from './failure-streak.js';
import { type Dates, LockExtender, type LockExtenderOptions, ONE_VERSION_FAILS } from './lock-extender.js';
import type { RenewLimits, RenewOptions } from './renew-options.js';

/** Rows after which the table of versions is begun anew: about 400 MB. */
const ROWS_MOST = 4_000_000;
const MAX_SECONDS = 0xffff_ffff;

/** What looking at a run, or renewing it, came to. See `RenewedRun`. */
export interface RunOutlook {
  state: 'renewed' | 'incomplete' | 'damaged' | 'unlocked';
  weight: number;
  until: number;
  missing: number;
  refused: number;
  problem: string | undefined;
  /** Not all of it was gone through, so that it may weigh more. */
  stopped: boolean;
}

/** The dates that a run's locks must reach, by the mode it promises. */
export type DatesFor = (mode: Retention['mode']) => Dates & { readonly needed: number };

/**
 * Manifests in a row that the store may fail to give, each after all retries, before it is taken for gone. What is
 * refused at once does not count: a thief could store manifests in an archive class, or encrypted with a key of his
 * own, and one of those must not stop the renewal of all others.
 */
const OUTAGE = 3;

/** Reads the manifests of single runs, and asks for or extends the locks of all they name. */
export class RunRenewer {
  asked = 0;
  extended = 0;
  /** The first failure of the store; what to throw where no run at all could be renewed. */
  failure: SysbackupError | undefined;
  #outage = 0;
  readonly #store: RenewOptions['store'];
  readonly #spoolFolder: string;
  readonly #limits: RenewLimits;
  readonly #lockOptions: LockExtenderOptions;
  #locks: LockExtender;
  #serial = 0;

  constructor(
    store: RenewOptions['store'],
    spoolFolder: string,
    limits: RenewLimits,
    lockOptions: LockExtenderOptions,
  ) {
    this.#store = store;
    this.#spoolFolder = spoolFolder;
    this.#limits = limits;
    this.#lockOptions = lockOptions;
    this.#locks = new LockExtender(lockOptions);
  }

  /**
   * How many files and snapshots a run holds at the most, as the end of its manifest says: a valid manifest says the
   * truth, any other is found out when it is read. 0 where it cannot be read.
   */
  async claimOf(run: StoredRun): Promise<number> {
    try {
      const { counts } = await this.#footer(run);
      return counts.f + counts.s;
    } catch (error) {
      this.#oneRuns(error);
      return 0;
    }
  }

  /**
   * Asks for the locks of all that a run names, and where `datesFor` is given extends those that are due: content
   * first, the manifest last. Never throws for what is wrong with this run alone.
   */
  async look(run: StoredRun, datesFor: DatesFor | undefined): Promise<RunOutlook> {
    if (this.#locks.table.count > ROWS_MOST) this.#locks = new LockExtender(this.#lockOptions);
    const [asked, extended] = [this.#locks.asked, this.#locks.extended];
    let manifest: FetchedManifest | undefined;
    try {
      manifest = await this.#fetch(run);
      this.#outage = 0;
      return await this.#lookAt(run, manifest, datesFor);
    } catch (error) {
      return { ...NOTHING, state: 'damaged', problem: this.#oneRuns(error).message };
    } finally {
      this.asked += this.#locks.asked - asked;
      this.extended += this.#locks.extended - extended;
      await manifest?.remove();
    }
  }

  async #footer(run: StoredRun): Promise<ManifestFooter> {
    const { manifestBytes, entries: most } = this.#limits;
    if (run.size > manifestBytes)
      throw damaged(
        run,
        `is ${run.size} bytes long, more than the ${manifestBytes} that are read at the most`,
      );
    const footer = await readFooter(this.#store, run.key, run.version, run.size);
    const entries = linesOf(footer);
    if (entries > most)
      throw damaged(run, `says that it has ${entries} lines, more than the ${most} that are read`);
    return footer;
  }

  async #fetch(run: StoredRun): Promise<FetchedManifest> {
    const most = linesOf(await this.#footer(run)) + 2;
    let count = 0;
    const onLines = (lines: readonly unknown[]): void => {
      count += lines.length;
      // What unpacks to lines without end is not read to its end.
      if (count > most) throw damaged(run, 'has more lines than its footer says');
    };
    return await fetchManifest(this.#store, run, this.#spoolFolder, {
      onLines,
      signal: this.#lockOptions.signal,
    });
  }

  async #lookAt(
    run: StoredRun,
    manifest: FetchedManifest,
    datesFor: DatesFor | undefined,
  ): Promise<RunOutlook> {
    const { retention } = manifest.header;
    if (retention === null) return { ...NOTHING, state: 'unlocked', problem: 'it promises no lock' };
    const dates = datesFor?.(retention.mode);
    const seen = new SeenRun(run, this.#locks, dates, ++this.#serial);
    let failure: SysbackupError | undefined;
    try {
      for await (const lines of manifest.lines(this.#lockOptions.signal)) await seen.take(lines);
      if (dates) await seen.extendManifest(dates);
    } catch (error) {
      // So many failures in a row that the rest of this run is not worth asking for; the next one may be another matter.
      if (!(error instanceof SysbackupError) || !ONE_VERSION_FAILS.includes(error.code)) throw error;
      this.failure ??= error;
      failure = error;
      seen.refused += 1;
    }
    const { weight, missing, refused } = seen;
    const until = refused > 0 || !dates ? 0 : seen.until;
    const problem = failure?.message ?? problemOf(missing, refused);
    const state = problem === undefined ? 'renewed' : 'incomplete';
    return { state, weight, until, missing, refused, problem, stopped: failure !== undefined };
  }

  /** Gives the error back where it may be one run's own; throws it otherwise. */
  #oneRuns(error: unknown): SysbackupError {
    if (!(error instanceof SysbackupError) || !ONE_RUN_FAILS.has(error.code)) throw error;
    if (error.code === 'DAMAGED' || error.code === 'NOT_FOUND') return error;
    this.failure ??= error;
    this.#outage = error instanceof StoreError && error.retryable ? this.#outage + 1 : 0;
    if (this.#outage >= OUTAGE) throw error;
    return error;
  }
}

/** What has been seen of one run while its lines are gone through. */
class SeenRun {
  weight = 0;
  until = MAX_SECONDS;
  missing = 0;
  refused = 0;
  readonly #run: StoredRun;
  readonly #locks: LockExtender;
  readonly #dates: Dates | undefined;
  readonly #contents: DistinctContents;
  readonly #failures = new FailureStreak(ONE_VERSION_FAILS);

  constructor(run: StoredRun, locks: LockExtender, dates: Dates | undefined, serial: number) {
    this.#run = run;
    this.#locks = locks;
    this.#dates = dates;
    this.#contents = new DistinctContents(run.backup, locks.table, serial);
  }

  async take(lines: readonly ManifestLine[]): Promise<void> {
    const foreign = this.#contents.foreign;
    const { versions, contents } = this.#contents.take(lines);
    this.missing += this.#contents.foreign - foreign;
    this.refused += await this.#locks.extend(versions, this.#dates, this.#failures);
    for (const row of versions) {
      if (this.#locks.isGone(row)) this.missing += 1;
      else this.until = Math.min(this.until, this.#locks.until(row));
    }
    for (const rows of contents) if (!rows.some((row) => this.#locks.isGone(row))) this.weight += 1;
  }

  /** With the same slack as the rest, but never longer than what it names. */
  async extendManifest(dates: Dates & { readonly needed: number }): Promise<void> {
    const { key, version } = this.#run;
    const untilFor = (sha: Uint8Array): number =>
      Math.max(dates.needed, Math.min(this.until, dates.untilFor(sha)));
    const row = this.#locks.table.add({ key, ver: version });
    const own: Dates = {
      isDue: (held) => held < dates.needed,
      untilFor,
      retention: (date) => dates.retention(date),
    };
    this.refused += await this.#locks.extend([row], own, this.#failures);
    if (this.#locks.isGone(row)) this.missing += 1;
    else this.until = Math.min(this.until, this.#locks.until(row));
  }
}

function linesOf({ counts: { d, l, f, s, problems } }: ManifestFooter): number {
  return d + l + f + s + problems;
}

function damaged(run: StoredRun, what: string): SysbackupError {
  return new SysbackupError('DAMAGED', `the manifest ${run.key} ${what}`);
}

const NOTHING = { weight: 0, until: 0, missing: 0, refused: 0, stopped: true };
const ONE_RUN_FAILS: ReadonlySet<string> = new Set(['DAMAGED', 'NOT_FOUND', ...ONE_VERSION_FAILS]);

/** What is wrong with a run of which so many versions are missing, and so many not locked; in words. */
export function problemOf(missing: number, refused: number): string | undefined {
  if (refused > 0) return `${refused} locks could not be extended`;
  return missing > 0 ? `${missing} versions that it names do not exist` : undefined;
}
