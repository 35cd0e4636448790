import { addUp } from '../add-up.js';
import { documentPath } from '../documents.js';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { fetchManifest, type FetchedManifest } from '../manifest/fetch.js';
import { type HiddenRun, hiddenRunLine } from '../manifest/hidden-runs.js';
import { versionName } from '../manifest/keys.js';
import type { StoredRun } from '../manifest/runs.js';
import type { ManifestLine } from '../manifest/types.js';
import { Budget } from '../store/concurrency.js';
import type { ListedVersion, Retention } from '../store/port.js';
import { BackupSets } from './backup-sets.js';
import { DamagedRows } from './damaged-rows.js';
import { findVersions } from './existence.js';
import { FailureStreak } from './failure-streak.js';
import {
  addPath,
  addPaths,
  ASKED,
  DAMAGED,
  Findings,
  FOUND,
  HELD_IN_COMPLIANCE,
  NEEDS_COMPLIANCE,
  SHORT,
  UNREADABLE,
} from './findings.js';
import { readBundle } from './bundle-members.js';
import { Mender } from './mender.js';
import { membersIn, MemberTable } from './member-table.js';
import { contradictsItself, referencesOf } from './named-versions.js';
import { keeps, lockDate, promiseOf } from './promise.js';
import { readObject } from './read-object.js';
import { runsToVerify } from './runs-to-verify.js';
import { share } from './share.js';
import { ShortestLocks } from './shortest-locks.js';
import { sideBySide } from './side-by-side.js';
import type { VerifiedRun, VerifyOptions, VerifyResult } from './verify-options.js';
import { VerifyProgress } from './verify-progress.js';
import { VersionTable } from './version-table.js';

const LOCKS_AT_ONCE = 16;
const READS_AT_ONCE = 8;
/** Each is in memory whole. */
const BUNDLES_AT_ONCE = 2;
const MAX_SECONDS = 0xffff_ffff;
const STORE_FAILS: ReadonlySet<string> = new Set(['ACCESS_DENIED', 'STORE_FAILED']);
const ONE_RUN_FAILS: ReadonlySet<string> = new Set(['DAMAGED', 'NOT_FOUND', ...STORE_FAILS]);

/**
 * Whether runs are still what was stored: their manifests are read and checked, every version they name is looked
 * for in listings, and its lock is asked for and compared with the run's promise (see {@link promiseOf}). With
 * `readData`, versions are read too, and what they hold is hashed: content and blocks against their keys, bundles
 * likewise as a whole and each content that is named in them, snapshots against their entries. Each version is looked at once, however many runs name it.
 *
 * What is wrong with single manifests or versions is in the result and stops nothing; {@link failureOf} makes the
 * error of it that a command ends with. Throws USAGE, NOT_FOUND where there is no run of that name, ACCESS_DENIED,
 * SYSTEM, ABORTED, and STORE_FAILED where the store stops answering.
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const chooseLocks = share(options.sample ?? 100, options.seed ?? 0);
  const chooseData = share(options.readData ?? 0, options.seed ?? 0);
  const { store, setAside, signal, onEvent } = options;
  const mender = setAside && (await Mender.open(store, setAside.path, signal));
  try {
    const verification = new Verification(options, mender);
    onEvent?.({ type: 'phase', phase: 'verify' });
    await verification.readManifests(await runsToVerify(options, (hidden) => verification.addHidden(hidden)));
    await verification.check(chooseLocks, chooseData);
    return await verification.result();
  } finally {
    await mender?.close();
  }
}

/** The error that a result amounts to: DAMAGED, RETENTION_SHORT, or undefined where all is as it should be. */
export function failureOf({ counts, findings }: VerifyResult): SysbackupError | undefined {
  const damaged = counts.manifest + counts.missing + counts.hidden + counts.damaged + counts.unreadable;
  if (damaged > 0) {
    const first = findings.find(({ kind }) => kind !== 'short');
    return new SysbackupError('DAMAGED', `${first?.message ?? 'objects are missing'}${others(damaged)}`, {
      hint: `What is named there cannot be restored from these runs. What to do now: ${documentPath('damage.md')}`,
    });
  }
  if (counts.short === 0) return undefined;
  const first = findings.find(({ kind }) => kind === 'short');
  return new SysbackupError(
    'RETENTION_SHORT',
    `${first?.message ?? 'locks are short'}${others(counts.short)}`,
    {
      hint: 'The next run of that machine, or `s3-sysbackup renew`, extends the locks.',
    },
  );
}

function others(count: number): string {
  return count === 1 ? '' : `, and ${count - 1} more`;
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #table = new VersionTable();
  /** By the rows of their bundles in the table. */
  readonly #members = new MemberTable();
  readonly #bundlesRead = new Budget(BUNDLES_AT_ONCE);
  readonly #sets = new BackupSets();
  readonly #findings = new Findings();
  readonly #shortest = new ShortestLocks();
  readonly #runs: { received: number; verified: VerifiedRun }[] = [];
  readonly #checked: VerifyResult['checked'] = { existence: 0, locks: 0, data: 0, bytes: 0 };
  /** The first failure of the store to give a manifest: one run's own as long as others can be read. */
  #failure: SysbackupError | undefined;
  readonly #damage: DamagedRows;
  readonly #progress: VerifyProgress;

  constructor(options: VerifyOptions, mender: Mender | undefined) {
    this.#options = options;
    this.#damage = new DamagedRows({ options, table: this.#table, findings: this.#findings, mender });
    this.#progress = new VerifyProgress(options.onEvent);
  }

  /** Manifests that no listing shows. A broken run's is one too: what it is worth cannot be looked up. */
  addHidden(runs: readonly HiddenRun[]): void {
    for (const hidden of runs) {
      const { backup, run, outcome, key, version = '' } = hidden;
      const verified = { backup, run, outcome, key, version, entries: 0, promise: undefined };
      this.#runs.push({ received: hidden.time, verified: { ...verified, state: 'damaged' } });
      const message = hiddenRunLine(hidden);
      this.#findings.add({ kind: 'manifest', key, version, message, paths: [], pathCount: 0 });
    }
  }

  async readManifests(runs: readonly StoredRun[]): Promise<void> {
    const now = await this.#options.store.now();
    // By backup, as the sets of backups must grow.
    for (const backup of new Set(runs.map((run) => run.backup))) {
      const number = this.#shortest.add(backup);
      for (const run of runs) if (run.backup === backup) await this.#readManifest(run, number, now);
    }
    if (this.#failure && this.#runs.every(({ verified }) => verified.state === 'damaged'))
      throw this.#failure;
  }

  async #readManifest(stored: StoredRun, backup: number, now: number): Promise<void> {
    const { store, spoolFolder, signal } = this.#options;
    const { key, version, run, outcome, received } = stored;
    const verified: VerifiedRun = {
      backup: stored.backup,
      run,
      outcome,
      key,
      version,
      state: 'checked',
      entries: 0,
      promise: undefined,
    };
    this.#runs.push({ received, verified });
    let manifest: FetchedManifest | undefined;
    try {
      manifest = await fetchManifest(store, stored, spoolFolder, { signal });
      const lock = await store.getRetention(key, version);
      const { header, footer } = manifest;
      const { d, l, f, s } = footer.counts;
      verified.entries = d + l + f + s;
      verified.promise = promiseOf(header, lock);
      if (verified.promise !== undefined && verified.promise.until * 1000 <= now) verified.state = 'lapsed';
      if (verified.state === 'lapsed' && this.#options.run === undefined) return;
      if (verified.state === 'checked') this.#checkOwnLock(verified, lock, backup);
      for await (const lines of manifest.lines(signal)) {
        for (const line of lines) {
          for (const { version, size } of referencesOf(line)) this.#note(version, size, verified, backup);
          if (this.#options.readData !== undefined) this.#noteMembers(line);
          if (contradictsItself(line)) this.#addContradiction(verified, line);
        }
      }
    } catch (error) {
      if (!(error instanceof SysbackupError) || !ONE_RUN_FAILS.has(error.code)) throw error;
      if (STORE_FAILS.has(error.code)) this.#failure ??= error;
      verified.state = 'damaged';
      const message = error.message;
      const done = error.code === 'DAMAGED' ? await this.#damage.setManifestAside(stored) : undefined;
      this.#findings.add({ kind: 'manifest', key, version, message, done, paths: [], pathCount: 0 });
    } finally {
      await manifest?.remove();
    }
  }

  #checkOwnLock(run: VerifiedRun, lock: Retention | undefined, backup: number): void {
    const { key, version, promise } = run;
    if (promise === undefined) return;
    this.#shortest.of(backup, { until: lock?.until ?? 0, key, version });
    if (keeps(lock, promise)) return;
    const is =
      lock === undefined ? 'not locked' : `locked until ${lockDate(lock.until)} in ${lock.mode} mode`;
    const message = `the manifest ${key} is ${is}, and promises ${promise.mode} mode until ${lockDate(promise.until)}`;
    this.#findings.add({ kind: 'short', key, version, message, lock, paths: [], pathCount: 0 });
  }

  #note(named: Parameters<VersionTable['add']>[0], size: number, run: VerifiedRun, backup: number): void {
    const table = this.#table;
    const row = table.add(named);
    table.size[row] = Math.max(table.size[row] ?? 0, size);
    table.set[row] = this.#sets.with(table.set[row] ?? 0, backup);
    if (run.promise === undefined || run.state === 'lapsed') return;
    table.needed[row] = Math.max(table.needed[row] ?? 0, Math.min(run.promise.until, MAX_SECONDS));
    if (run.promise.mode === 'COMPLIANCE') this.#flag(row, NEEDS_COMPLIANCE);
  }

  /** What must be in which place of a bundle. */
  #noteMembers(line: ManifestLine): void {
    if (line.typ !== 'f' && line.typ !== 's') return;
    for (const { ref, member } of membersIn(line.dat, line.size ?? 0, line.sha))
      this.#members.add(this.#table.find({ key: ref.key, ver: ref.ver }), member);
  }

  #addContradiction(run: VerifiedRun, line: Parameters<typeof addPath>[2]): void {
    const [reference] = referencesOf(line);
    const { key = '', ver = '' } = reference?.version ?? {};
    const message = `a file of the run ${run.backup}/${run.run} has its content under ${key}, which says another SHA-256 than the file's line`;
    const finding = { kind: 'damaged' as const, key, version: ver, message, paths: [], pathCount: 0 };
    addPath(finding, run, line);
    this.#findings.add(finding);
  }

  async check(chooseLocks: (die: number) => boolean, chooseData: (die: number) => boolean): Promise<void> {
    const { store, signal, concurrency = LOCKS_AT_ONCE, readsAtOnce = READS_AT_ONCE } = this.#options;
    const table = this.#table;
    const progress = this.#progress;
    if (this.#options.readData !== undefined) progress.keepStored(table.count);
    progress.begin('verify', { entries: table.count, bytes: 0 });
    let anyHidden = false;
    await findVersions({
      store,
      table,
      found: (row, listed) => {
        this.#noteFound(row, listed);
        progress.noteStored(row, listed.size);
      },
      onHidden: () => {
        anyHidden = true;
      },
      onDecided: (rows) => progress.advance(rows),
      signal,
    });
    this.#checked.existence = table.count;
    if (anyHidden) await this.#damage.lookAtHidden();
    const failures = new FailureStreak([...STORE_FAILS]);
    progress.begin('verify-locks', this.#amount(chooseLocks, true));
    await sideBySide(this.#rows(chooseLocks, true), concurrency, (row) => this.#askLock(row, failures));
    progress.begin('verify-data', this.#amount(chooseData, false));
    await sideBySide(this.#rows(chooseData, false), readsAtOnce, (row) => this.#read(row, failures));
    await this.#damage.setAside();
    progress.tell();
  }

  /** How much {@link #rows} will give. */
  #amount(choose: (die: number) => boolean, locks: boolean): { entries: number; bytes: number } {
    const amount = { entries: 0, bytes: 0 };
    for (const row of this.#rows(choose, locks)) {
      amount.entries += 1;
      if (!locks) amount.bytes += this.#progress.storedOf(row);
    }
    return amount;
  }

  #noteFound(row: number, { size, storedSize }: ListedVersion): void {
    this.#flag(row, FOUND);
    if (storedSize === undefined) return;
    const what = versionName(this.#table.key(row), this.#table.version(row));
    this.#flag(row, DAMAGED);
    this.#findings.explain(row, `${what} is ${size} bytes long, and ${storedSize} were stored`);
  }

  *#rows(choose: (die: number) => boolean, locks: boolean): Generator<number> {
    const table = this.#table;
    for (let row = 0; row < table.count; row++) {
      if (!choose(table.die(row)) || (locks && !this.#needsLock(row))) continue;
      throwIfAborted(this.#options.signal);
      if (((table.flags[row] ?? 0) & FOUND) !== 0) yield row;
    }
  }

  /** What no living run promises to be locked need not be asked for. */
  #needsLock(row: number): boolean {
    return (this.#table.needed[row] ?? 0) > 0;
  }

  async #askLock(row: number, failures: FailureStreak): Promise<void> {
    const table = this.#table;
    try {
      const lock = await this.#options.store.getRetention(table.key(row), table.version(row));
      failures.succeeded();
      this.#checked.locks += 1;
      const flags = table.flags[row] ?? 0;
      const mode = (flags & NEEDS_COMPLIANCE) === 0 ? 'GOVERNANCE' : 'COMPLIANCE';
      table.until[row] = Math.min(lock?.until ?? 0, MAX_SECONDS);
      this.#flag(row, ASKED | (lock?.mode === 'COMPLIANCE' ? HELD_IN_COMPLIANCE : 0));
      const held = lock && { ...lock, until: Math.min(lock.until, MAX_SECONDS) };
      if (!keeps(held, { mode, until: table.needed[row] ?? 0 })) this.#flag(row, SHORT);
    } catch (error) {
      // Gone between the listing and now: as good as missing.
      if (error instanceof SysbackupError && error.code === 'NOT_FOUND')
        table.flags[row] = (table.flags[row] ?? 0) & ~FOUND;
      else this.#unreadable(row, failures.failed(error));
    }
    this.#progress.advance(1);
  }

  /** Returns the bytes it took to prove. */
  async #readVersion(row: number): Promise<number> {
    const { store, signal } = this.#options;
    const table = this.#table;
    if (table.kind(row) !== 'bundle')
      return await this.#progress.reading(store, row, (counted) => readObject(counted, table, row, signal));
    const sha = Buffer.from(table.sha(row) ?? '', 'hex');
    const bundle = { key: table.key(row), version: table.version(row), sha };
    const read = () =>
      this.#progress.reading(store, row, (counted) =>
        readBundle(counted, bundle, this.#members.of(row), signal),
      );
    return (await this.#bundlesRead.run(1, read)).bytes;
  }

  async #read(row: number, failures: FailureStreak): Promise<void> {
    try {
      const bytes = await this.#readVersion(row);
      this.#checked.bytes = addUp(this.#checked.bytes, bytes);
      failures.succeeded();
      this.#checked.data += 1;
    } catch (error) {
      throwIfAborted(this.#options.signal);
      const code = error instanceof SysbackupError ? error.code : undefined;
      if (code === 'NOT_FOUND') this.#table.flags[row] = (this.#table.flags[row] ?? 0) & ~FOUND;
      else if (code === 'DAMAGED') {
        failures.succeeded();
        this.#checked.data += 1;
        this.#flag(row, DAMAGED);
        this.#findings.explain(row, messageOf(error));
      } else this.#unreadable(row, failures.failed(error));
    }
  }

  #unreadable(row: number, error: SysbackupError): void {
    this.#flag(row, UNREADABLE);
    this.#findings.explain(row, error.message);
  }

  #flag(row: number, flag: number): void {
    this.#table.flags[row] = (this.#table.flags[row] ?? 0) | flag;
  }

  async result(): Promise<VerifyResult> {
    const { store, signal } = this.#options;
    const runs = this.#runs.sort((a, b) => a.received - b.received).map(({ verified }) => verified);
    const byRow = this.#findings.addRows(this.#table);
    const looked = runs.filter(
      ({ state }) => state === 'checked' || (state === 'lapsed' && this.#options.run !== undefined),
    );
    if (byRow.size > 0) for (const run of looked) await addPaths(store, run, this.#table, byRow, signal);
    this.#shortest.ofRows(this.#table, this.#sets, ASKED);
    return {
      runs,
      versions: this.#table.count,
      checked: this.#checked,
      shortest: this.#shortest.all(),
      mended: this.#damage.mended,
      counts: this.#findings.counts,
      findings: this.#findings.kept,
    };
  }
}
