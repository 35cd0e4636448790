import { join } from 'node:path';
import { EntryBlockWriter } from '../catalog/entry-blocks.js';
import type { CatalogHead } from '../catalog/head.js';
import { Journal } from '../catalog/journal.js';
import { machineId } from '../catalog/machine-id.js';
import { writeObjectsFile } from '../catalog/objects-file.js';
import { type NewGeneration, StateFolder } from '../catalog/state-folder.js';
import { ContentPool } from '../content/pool.js';
import { SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener, RunOutcome } from '../events.js';
import { OwnerNames } from '../files/owners.js';
import { manifestKey, newRunId } from '../manifest/keys.js';
import { formatLine } from '../manifest/lines.js';
import { ManifestSpool, type SpooledManifest } from '../manifest/spool.js';
import {
  type ManifestFooter,
  type ManifestHeader,
  MANIFEST_FORMAT,
  type SnapshotEntry,
} from '../manifest/types.js';
import { findExecutables } from '../sources/executables.js';
import { Budget, withConcurrency } from '../store/concurrency.js';
import { LockDates } from '../store/lock-dates.js';
import type { ObjectStore, Retention } from '../store/port.js';
import { ContentObjects } from './content-objects.js';
import { ContentRows } from './content-rows.js';
import { EntryMaker } from './entry-maker.js';
import { EntryOutput } from './entry-output.js';
import { ContentFinder } from './find-content.js';
import { Join } from './join.js';
import { classesOf, LockKeeper, type RunClass } from './lock-keeper.js';
import { Keeper } from './keep.js';
import { NamesUsed } from './names-used.js';
import type { ArchiveOptions, RunSummary } from './options.js';
import { pickPaths } from './pick.js';
import { ProblemLog } from './problem-log.js';
import { type Recalled, recall } from './recall.js';
import { takeSnapshots } from './snapshots.js';
import { Stopwatch } from './stopwatch.js';
import { Tally } from './tally.js';

/** Bytes of content in memory at most, beside what the workers hold. */
const CONTENT_BUDGET = 64 << 20;
/** Requests under way at once. */
const REQUESTS_AT_ONCE = 48;

/**
 * One run: pick, join with the catalog, store what is new, renew what is due, and at the very end the manifest.
 * Resolves when the manifest is stored and the catalog has taken its place; a run that fails or is stopped leaves
 * the old catalog and the journal, so that the next one sends nothing twice.
 *
 * Throws RUN_LOCKED, ACCESS_DENIED, NOT_FOUND (no such bucket), STORE_UNSUITABLE, STORE_FAILED, LIMIT, ABORTED, CONFIG
 * (executables others could change) and SYSTEM. What concerns single paths is a problem in the manifest instead.
 */
export async function archive(options: ArchiveOptions): Promise<RunSummary> {
  const { settings } = options;
  const state = StateFolder.open(settings.statePath, options.store.identity, settings.backupName);
  try {
    return await new Run(options, state).go();
  } finally {
    state.close();
  }
}

class Run {
  readonly #options: ArchiveOptions;
  readonly #state: StateFolder;
  readonly #store: ObjectStore;
  readonly #onEvent: EventListener;
  readonly #problems: ProblemLog;
  readonly #tally: Tally;
  readonly #watch = new Stopwatch();

  constructor(options: ArchiveOptions, state: StateFolder) {
    this.#options = options;
    this.#state = state;
    this.#store = withConcurrency(options.store, REQUESTS_AT_ONCE);
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#problems = new ProblemLog(join(state.spoolPath, 'problems'), this.#onEvent);
    this.#tally = new Tally(this.#onEvent);
  }

  async go(): Promise<RunSummary> {
    const { settings } = this.#options;
    const lap = this.#watch.begin('prepare', this.#onEvent);
    const recalled = await recall(this.#state, this.#store, settings.backupName, this.#onEvent);
    const objectLock = recalled.catalog?.head.objectLock ?? (await this.#checkStore());
    const startMs = await this.#store.now();
    this.#warnOfClock(startMs);
    lap();
    return await this.#archive(recalled, startMs, objectLock);
  }

  async #archive(recalled: Recalled, startMs: number, objectLock: boolean): Promise<RunSummary> {
    const { settings, signal } = this.#options;
    const { content, backupName } = settings;
    const machine = machineId(settings.statePath, this.#options.systemIdPath);
    const run = newRunId(startMs, machine);
    const locks = LockDates.ofRun(startMs, content.daysRetained, objectLock ? content.mode : undefined);
    const journal = Journal.open(
      this.#state.journalPath,
      { store: this.#store.identity, backupName },
      recalled.keepJournal,
    );
    const s3 = settings.destination.kind === 's3' ? settings.destination.s3 : undefined;
    const storageClass = s3?.storageClass === undefined ? {} : { storageClass: s3.storageClass };
    const objects = new ContentObjects({
      store: this.#store,
      table: recalled.objects,
      journal,
      locks,
      finder: new ContentFinder(this.#store, content.share),
      onEvent: this.#onEvent,
      afterPut: () => lockKeeper.keepUp(),
      ...storageClass,
    });
    const classes = classesOf(startMs, settings.classes, recalled.catalog?.head);
    const lockKeeper = new LockKeeper({
      store: this.#store,
      objects,
      locks,
      startMs,
      daysRetained: content.daysRetained,
      report: (problem) => this.#problems.add(problem),
      onEvent: this.#onEvent,
    });
    const pool = new ContentPool({
      blockSize: content.blockSize,
      compression: content.compression,
      level: content.compressionLevel,
      lockTimeoutMs: content.lockTimeout * 1000,
      ...(this.#options.workers === undefined ? {} : { workers: this.#options.workers }),
      ...(signal === undefined ? {} : { signal }),
    });
    const generation = this.#state.newGeneration(run);
    const spool = await ManifestSpool.create(generation.manifestPath);
    const catalog = new EntryBlockWriter(generation.entriesPath);
    const output = new EntryOutput(spool, catalog, (stats, at, size) => this.#tally.count(stats, at, size));
    try {
      await spool.append(Buffer.from(formatLine(this.#header(run, machine, startMs, locks, classes))));

      const endPick = this.#watch.begin('pick', this.#onEvent);
      const startedNs = BigInt(Date.now()) * 1_000_000n;
      const picked = await pickPaths(
        this.#options,
        this.#state.spoolPath,
        recalled.catalog?.head,
        this.#problems,
        startedNs,
      );
      endPick();

      const endContent = this.#watch.begin('content', this.#onEvent);
      const names = new NamesUsed(new OwnerNames({ env: this.#options.env }));
      const head = recalled.catalog?.head;
      const renamed = await names.changedSince(head?.users ?? {}, head?.groups ?? {});
      const rows = new ContentRows(objects, recalled.objects);
      const keeper = new Keeper(objects, recalled.objects, renamed);
      const maker = new EntryMaker({
        names,
        reader: pool,
        content: rows,
        budget: new Budget(CONTENT_BUDGET),
        blockSize: content.blockSize,
        report: (problem) => this.#problems.add(problem),
        onRead: (bytes) => {
          this.#tally.read.files++;
          this.#tally.read.bytes += bytes;
          this.#tally.report();
        },
        startedNs,
      });
      this.#tally.total = picked.paths.count;
      const join_ = new Join(output, recalled.catalog?.entries(), {
        keep: (block, index) => keeper.keep(block, index),
        make: (path, stats, at) => maker.make(path, stats, at),
        damaged: (error) => this.#warnOfDamage(error),
      });
      await join_.run(picked.paths.batches(), async () => {
        throwIfAborted(signal);
        this.#tally.report();
        await lockKeeper.keepUp();
      });
      await output.finish();
      this.#tally.report(true);
      endContent();

      const endSnapshots = this.#watch.begin('snapshots', this.#onEvent);
      const snapshots = await this.#takeSnapshots(run, locks, pool, rows, head, lockKeeper, storageClass);
      endSnapshots();

      const endManifest = this.#watch.begin('manifest', this.#onEvent);
      throwIfAborted(signal);
      await lockKeeper.keepUp();
      const until =
        this.#problems.outcome === 'broken' ? locks.needed : await lockKeeper.keepForClasses(classes);
      const outcome = this.#problems.outcome;
      const spooled = await this.#finishManifest(spool, snapshots, objects, outcome);
      catalog.finish();
      const manifest = await this.#putManifest(run, outcome, spooled, locks.retention(until));
      const newHead: CatalogHead = {
        format: 1,
        store: this.#store.identity,
        backupName,
        machine,
        run,
        manifest,
        manifestUntil: until,
        turn: (head?.turn ?? 0) + 1,
        pickers: picked.printed,
        snapshots: Object.fromEntries(snapshots.map(({ name, size }) => [name, size])),
        classes: { ...head?.classes, ...(outcome === 'broken' ? {} : periods(classes)) },
        users: names.users,
        groups: names.groups,
        objectLock,
      };
      this.#remember(recalled, generation, newHead, outcome, startMs);
      journal.remove();
      endManifest();
      return this.#summary(run, outcome, manifest, snapshots, objects, keeper, locks.retention(until));
    } catch (error) {
      await pool.close();
      await objects.settled();
      catalog.abandon();
      await spool.discard();
      journal.close();
      throw signal?.aborted
        ? new SysbackupError('ABORTED', 'stopped before the end', { cause: error })
        : error;
    } finally {
      await pool.close();
    }
  }

  async #checkStore(): Promise<boolean> {
    const { destination } = this.#options.settings;
    const { objectLock } = await this.#store.capabilities();
    if (!objectLock && (destination.kind === 'directory' || destination.s3.requireObjectLock)) {
      throw new SysbackupError(
        'STORE_UNSUITABLE',
        `${this.#store.description} does not lock what is stored in it`,
        {
          hint: 'Use a bucket made with Object Lock, or set [s3] require_object_lock = no and know that backups can be deleted.',
        },
      );
    }
    return objectLock;
  }

  #warnOfClock(storeMs: number): void {
    const off = Math.round((Date.now() - storeMs) / 60_000);
    if (Math.abs(off) < 5) return;
    const message = `this machine's clock is ${Math.abs(off)} minutes ${off > 0 ? 'ahead of' : 'behind'} the store's; the store's counts`;
    this.#onEvent({ type: 'log', level: 'warning', message });
  }

  #warnOfDamage(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the catalog in ${this.#state.path} is damaged (${reason}): the files behind that place are read again`;
    this.#onEvent({ type: 'log', level: 'warning', message });
  }

  #header(
    run: string,
    machine: string,
    startMs: number,
    locks: LockDates,
    classes: readonly RunClass[],
  ): ManifestHeader {
    const { settings, host, tool } = this.#options;
    const until = new Date(locks.needed * 1000).toISOString();
    return {
      typ: 'manifest',
      format: MANIFEST_FORMAT,
      backup: settings.backupName,
      run,
      host,
      machine,
      start: new Date(startMs).toISOString(),
      tool,
      retention: locks.mode === undefined ? null : { mode: locks.mode, until },
      ...(classes.length === 0 ? {} : { classes: classes.map(({ name }) => name) }),
    };
  }

  async #takeSnapshots(
    run: string,
    locks: LockDates,
    reader: ContentPool,
    content: ContentRows,
    head: CatalogHead | undefined,
    lockKeeper: LockKeeper,
    storageClass: { storageClass?: string },
  ): Promise<SnapshotEntry[]> {
    const { settings, env, uid, signal } = this.#options;
    const { executables } = await findExecutables(join(settings.confDir, 'snapshots.d'), { uid });
    return await takeSnapshots({
      executables,
      backupName: settings.backupName,
      run,
      spoolFolder: this.#state.spoolPath,
      env,
      timeoutMs: settings.programs.timeout === undefined ? undefined : settings.programs.timeout * 1000,
      expectedSizes: head?.snapshots ?? {},
      store: this.#store,
      locks,
      reader,
      content,
      afterPut: (version) => {
        lockKeeper.add(version);
        return lockKeeper.keepUp();
      },
      ...storageClass,
      report: (problem) => this.#problems.add(problem),
      onEvent: this.#onEvent,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #finishManifest(
    spool: ManifestSpool,
    snapshots: readonly SnapshotEntry[],
    objects: ContentObjects,
    outcome: RunOutcome,
  ): Promise<SpooledManifest> {
    if (snapshots.length > 0) await spool.append(Buffer.from(snapshots.map(formatLine).join('')));
    for await (const piece of this.#problems.pieces()) await spool.append(piece);
    return await spool.finish((sha256) => {
      const footer: ManifestFooter = {
        typ: 'end',
        outcome,
        counts: { ...this.#tally.counts, s: snapshots.length, problems: this.#problems.count },
        bytes: this.#bytes(snapshots),
        stored: this.#stored(snapshots, objects),
        requests: this.#options.requests?.() ?? {},
        sha256,
      };
      return Buffer.from(formatLine(footer));
    });
  }

  async #putManifest(
    run: string,
    outcome: RunOutcome,
    spooled: SpooledManifest,
    retention: Retention | undefined,
  ) {
    const key = manifestKey(this.#options.settings.backupName, run, outcome);
    const { path, size, md5 } = spooled;
    const { version } = await this.#store.put({
      key,
      body: { pieces: [{ path, start: 0, end: size }], size, md5 },
      retention,
    });
    return { key, version };
  }

  /** What a run that saw too little knows of files is not what the next one should compare with. */
  #remember(
    recalled: Recalled,
    generation: NewGeneration,
    head: CatalogHead,
    outcome: RunOutcome,
    startMs: number,
  ): void {
    const { catalog, objects } = recalled;
    if (outcome === 'broken' && catalog !== undefined) {
      this.#state.keepEntries(catalog, generation);
      Object.assign(head.users, { ...catalog.head.users, ...head.users });
      Object.assign(head.groups, { ...catalog.head.groups, ...head.groups });
    }
    writeObjectsFile(generation.objectsPath, head, objects, Math.floor(startMs / 1000));
    this.#state.adopt(generation);
  }

  #bytes(snapshots: readonly SnapshotEntry[]): number {
    return this.#tally.bytes + snapshots.reduce((sum, { size }) => sum + size, 0);
  }

  #stored(snapshots: readonly SnapshotEntry[], objects: ContentObjects): { objects: number; bytes: number } {
    const whole = snapshots.filter(({ dat }) => !Array.isArray(dat));
    return {
      objects: objects.stored.objects + whole.length,
      bytes: objects.stored.bytes + whole.reduce((sum, { size }) => sum + size, 0),
    };
  }

  #summary(
    run: string,
    outcome: RunOutcome,
    manifest: { key: string; version: string },
    snapshots: readonly SnapshotEntry[],
    objects: ContentObjects,
    keeper: Keeper,
    retention: Retention | undefined,
  ): RunSummary {
    return {
      backup: this.#options.settings.backupName,
      run,
      outcome,
      manifest,
      counts: { ...this.#tally.counts, s: snapshots.length, problems: this.#problems.count },
      bytes: this.#bytes(snapshots),
      read: this.#tally.read,
      stored: this.#stored(snapshots, objects),
      reused: objects.reused + keeper.reused,
      renewed: objects.renewed,
      requests: this.#options.requests?.() ?? {},
      lockedUntil: retention && new Date(retention.until * 1000).toISOString(),
      seconds: this.#watch.total,
      phases: this.#watch.laps,
    };
  }
}

function periods(classes: readonly RunClass[]): CatalogHead['classes'] {
  return Object.fromEntries(classes.map(({ name, period }) => [name, period]));
}
