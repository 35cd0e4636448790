import { availableParallelism } from 'node:os';
import { EntryBlockWriter } from '../catalog/entry-blocks.js';
import { Journal } from '../catalog/journal.js';
import { machineId } from '../catalog/machine-id.js';
import type { NewGeneration, StateFolder } from '../catalog/state-folder.js';
import { gzipLibraryFor } from '../content/gzip-library.js';
import { otherGzip } from '../content/other-gzip.js';
import { ContentPool } from '../content/pool.js';
import { messageOf } from '../errors.js';
import type { EventListener } from '../events.js';
import { newRunId } from '../manifest/keys.js';
import type { RunHistory } from '../manifest/run-history.js';
import { type ManifestSink, ManifestSpool } from '../manifest/spool.js';
import { SpoolThread } from '../manifest/spool-thread.js';
import { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import type { BundleBelow } from './bundle-below.js';
import { ContentObjects } from './content-objects.js';
import { ContentRows } from './content-rows.js';
import { ContentFinder } from './find-content.js';
import { classesOf, LockKeeper, type RunClass } from './lock-keeper.js';
import type { ArchiveOptions } from './options.js';
import type { ProblemLog } from './problem-log.js';
import type { Recalled } from './recall.js';

/** What is known before anything is picked. */
export interface RunStart {
  options: ArchiveOptions;
  state: StateFolder;
  store: ObjectStore;
  onEvent: EventListener;
  problems: ProblemLog;
  recalled: Recalled;
  /** By the store's clock. */
  startMs: number;
  objectLock: boolean;
  /** Of the backup name, without this run. */
  history: RunHistory;
  bundleBelow: BundleBelow;
}

/** What identifies a run. */
export interface RunIdentity {
  /** The run id. */
  run: string;
  /** The machine id. */
  machine: string;
  /** Start by the store's clock, milliseconds since the epoch. */
  startMs: number;
}

/** The lock dates of a run that starts so. */
export function locksOf({ options, startMs, objectLock }: RunStart): LockDates {
  const { daysRetained, mode } = options.settings.content;
  return LockDates.ofRun(startMs, daysRetained, objectLock ? mode : undefined);
}

/** Bytes of the last catalog's entries from which on a thread for the manifest is worth its start. */
const WORTH_A_THREAD = 4 << 20;

function spoolFor({ recalled }: RunStart, path: string): ManifestSink {
  const large = (recalled.catalog?.entriesBytes ?? 0) >= WORTH_A_THREAD;
  return large && availableParallelism() > 1 ? new SpoolThread(path) : new ManifestSpool(path);
}

/** What a run works with. To be ended by {@link Workshop.close} or {@link Workshop.abandon}. */
export class Workshop {
  readonly start: RunStart;
  readonly identity: RunIdentity;
  readonly locks: LockDates;
  readonly classes: readonly RunClass[];
  readonly storageClass: { storageClass?: string };
  readonly objects: ContentObjects;
  readonly rows: ContentRows;
  readonly lockKeeper: LockKeeper;
  readonly pool: ContentPool;
  readonly generation: NewGeneration;
  readonly spool: ManifestSink;
  readonly catalog: EntryBlockWriter;
  readonly #journal: Journal;
  /** Whether all that the journal says is in the catalog. */
  isRemembered = false;

  static async open(start: RunStart): Promise<Workshop> {
    const { options, state, startMs } = start;
    const machine = machineId(options.settings.statePath, options.systemIdPath);
    const run = newRunId(startMs, machine, start.recalled.lastRun);
    for (const message of state.removeGenerations(start.recalled.catalog?.folder))
      start.onEvent({ type: 'log', level: 'warning', message });
    const generation = state.newGeneration(run);
    const spool = spoolFor(start, generation.manifestPath);
    try {
      return new Workshop(start, { run, machine, startMs }, generation, spool);
    } catch (error) {
      await spool.discard();
      throw error;
    }
  }

  private constructor(
    start: RunStart,
    identity: RunIdentity,
    generation: NewGeneration,
    spool: ManifestSink,
  ) {
    const { options, state, store, onEvent, problems, recalled, startMs, bundleBelow } = start;
    const { backupName, classes, content, destination } = options.settings;
    const storageClass = destination.kind === 's3' ? destination.s3.storageClass : undefined;
    const compression = {
      compression: content.compression,
      level: content.compressionLevel,
      gzipLibrary: gzipLibraryFor(content.gzipLibrary),
    };
    this.start = start;
    this.identity = identity;
    this.generation = generation;
    this.spool = spool;
    this.locks = locksOf(start);
    this.classes = classesOf(startMs, classes, recalled.catalog?.head);
    this.storageClass = storageClass === undefined ? {} : { storageClass };
    this.#journal = Journal.open(
      state.journalPath,
      { store: store.identity, backupName },
      recalled.keepJournal,
    );
    this.objects = new ContentObjects({
      store,
      table: recalled.objects,
      unproven: recalled.catalog?.unproven,
      journal: this.#journal,
      locks: this.locks,
      finder: new ContentFinder(store, content.share, storageClass),
      otherGzip: otherGzip(compression),
      onEvent,
      bundleBelow: bundleBelow.inForce,
      gzipBundles: content.compression === 'gzip',
      ...(options.bundleBytes === undefined ? {} : { maxBytes: options.bundleBytes }),
      afterPut: () => this.lockKeeper.keepUp(),
      ...this.storageClass,
    });
    this.rows = new ContentRows(this.objects, recalled.objects);
    this.lockKeeper = new LockKeeper({
      store,
      objects: this.objects,
      locks: this.locks,
      startMs,
      daysRetained: content.daysRetained,
      report: (problem) => problems.add(problem),
      onEvent,
    });
    this.pool = new ContentPool({
      blockSize: content.blockSize,
      ...compression,
      lockTimeoutMs: content.lockTimeout * 1000,
      md5From: bundleBelow.inForce, // a bundle has an MD5 of its own
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    this.catalog = new EntryBlockWriter(generation.entriesPath, recalled.catalog?.entriesPath);
  }

  /** The run is stored. Where it could not be remembered, the journal stays for the next one. */
  async close(): Promise<void> {
    await this.pool.close();
    try {
      if (this.isRemembered) this.#journal.remove();
      else this.#journal.close();
    } catch (error) {
      const message = `the journal of this run cannot be removed (${messageOf(error)}): the next one reads it again`;
      this.start.onEvent({ type: 'log', level: 'warning', message });
    }
  }

  /**
   * The run ends without a manifest. What the store has confirmed stays in the journal for the next one. Never throws:
   * why it ends is what the user has to hear of.
   */
  async abandon(): Promise<void> {
    const steps = [
      () => this.pool.close(),
      () => this.objects.settled(),
      () => this.catalog.abandon(),
      () => this.spool.discard(),
      () => this.#journal.close(),
      () => this.start.state.remove(this.generation),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        const message = `cleaning up after the run failed: ${messageOf(error)}`;
        this.start.onEvent({ type: 'log', level: 'warning', message });
      }
    }
  }
}
