import { realpath, unlink } from 'node:fs/promises';
import { addUp } from '../add-up.js';
import { SysbackupError, errnoOf, messageOf, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import { readManifest } from '../manifest/reader.js';
import { listRuns, type StoredRun } from '../manifest/runs.js';
import { openDirectoryStore } from '../store/directory.js';
import { StoreFolders } from '../store/directory-folders.js';
import { furtherSlot, primarySlot, type Slot } from '../store/directory-layout.js';
import { whileLocked } from '../store/directory-lock.js';
import { readSidecar } from '../store/directory-sidecar.js';
import { listAll, type ListedVersion, type ObjectStore } from '../store/port.js';
import { referencesOf } from './named-versions.js';
import { VersionTable } from './version-table.js';

export interface ExpireOptions {
  /** Root of a directory store. */
  path: string;
  /**
   * Whether the newest run of each backup name that is not broken stays with all it names, however long ago its
   * locks ended. Default true: a machine that has died, or a clock that ran away, shall not cost the last backup.
   */
  keepNewest?: boolean;
  /** Only count. Default false. */
  dryRun?: boolean;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface ExpireResult {
  /** Runs that stay, and runs whose manifests were removed. */
  runsKept: number;
  runsRemoved: number;
  /** Object versions other than manifests. */
  kept: number;
  removed: number;
  /** Stored bytes that removing them made free. */
  bytes: number;
}

const MANIFESTS = 'manifests/';

/**
 * Removes from a directory store what no lock holds any more and no living manifest names; a manifest lives while it
 * is locked. What is being stored or renewed at the same time is safe: each version's lock is looked at once more,
 * alone, before it goes. Throws NOT_FOUND, ACCESS_DENIED, STORE_FAILED, ABORTED, and DAMAGED, before anything is
 * removed, where a living manifest cannot be read, since nobody knows then what it names.
 */
export async function expire(options: ExpireOptions): Promise<ExpireResult> {
  const store = await openDirectoryStore({ path: options.path });
  try {
    const root = await realpath(options.path);
    const expiry = new Expiry(store, root, await store.now(), options);
    return await expiry.run();
  } finally {
    await store.close();
  }
}

class Expiry {
  readonly #store: ObjectStore;
  readonly #root: string;
  readonly #nowMs: number;
  readonly #options: ExpireOptions;
  readonly #named = new VersionTable();
  readonly #result: ExpireResult = { runsKept: 0, runsRemoved: 0, kept: 0, removed: 0, bytes: 0 };

  constructor(store: ObjectStore, root: string, nowMs: number, options: ExpireOptions) {
    this.#store = store;
    this.#root = root;
    this.#nowMs = nowMs;
    this.#options = options;
  }

  async run(): Promise<ExpireResult> {
    const runs = await listRuns(this.#store, { onEvent: this.#options.onEvent });
    const newest = this.#options.keepNewest === false ? new Set<StoredRun>() : newestOfEach(runs);
    for (const run of runs) {
      throwIfAborted(this.#options.signal);
      if (newest.has(run) || (await this.#isLocked(run.key, run.version))) await this.#take(run);
    }
    // Manifests first, so that none ever names what is gone.
    for await (const version of listAll(this.#store, { prefix: MANIFESTS })) await this.#judge(version);
    for await (const version of listAll(this.#store, { prefix: '' }))
      if (!version.key.startsWith(MANIFESTS)) await this.#judge(version);
    if (this.#options.dryRun !== true) await this.#removeLeftovers();
    return this.#result;
  }

  /** What a living run names stays, itself included. */
  async #take(run: StoredRun): Promise<void> {
    this.#named.add({ key: run.key, ver: run.version });
    const { signal } = this.#options;
    try {
      for await (const lines of readManifest(this.#store, run.key, run.version, { signal }))
        for (const line of lines)
          for (const { version } of referencesOf(line))
            this.#named.add({ key: version.key, ver: version.ver });
    } catch (cause) {
      throwIfAborted(signal);
      throw new SysbackupError(
        'DAMAGED',
        `nothing was removed: the manifest of ${run.backup}/${run.run} cannot be read: ${messageOf(cause)}`,
        { hint: 'See what `s3-sysbackup verify` says of it; once its lock has ended, it goes too.', cause },
      );
    }
  }

  async #judge({ key, version, size, deleteMarker }: ListedVersion): Promise<void> {
    throwIfAborted(this.#options.signal);
    const isManifest = key.startsWith(MANIFESTS);
    const stays =
      deleteMarker ||
      this.#named.find({ key, ver: version }) !== -1 ||
      (await this.#isLocked(key, version)) ||
      !(this.#options.dryRun === true || (await this.#remove(key, version)));
    if (stays) this.#result[isManifest ? 'runsKept' : 'kept']++;
    else {
      this.#result[isManifest ? 'runsRemoved' : 'removed']++;
      this.#result.bytes = addUp(this.#result.bytes, size);
    }
  }

  async #isLocked(key: string, version: string): Promise<boolean> {
    try {
      const retention = await this.#store.getRetention(key, version);
      return retention !== undefined && retention.until * 1000 > this.#nowMs;
    } catch (error) {
      // Somebody else removed it meanwhile.
      if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  /** False where it was locked anew in the last moment. */
  async #remove(key: string, version: string): Promise<boolean> {
    for (const slot of [primarySlot(this.#root, key), furtherSlot(this.#root, key, version)]) {
      const sidecar = await readSidecar(slot.sidecar);
      if (typeof sidecar === 'string' || sidecar.version !== version) continue;
      try {
        if (!(await whileLocked(slot.sidecar, () => this.#removeFrom(slot, version)))) return false;
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    }
    return true;
  }

  async #removeFrom(slot: Slot, version: string): Promise<boolean> {
    const sidecar = await readSidecar(slot.sidecar);
    if (typeof sidecar === 'string' || sidecar.version !== version) return true;
    if (sidecar.retention !== undefined && sidecar.retention.until * 1000 > this.#nowMs) return false;
    // Data without a sidecar would be somebody's with an unknown lock; a sidecar alone stands for nothing.
    await unlink(slot.data).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
    });
    await unlink(slot.sidecar);
    return true;
  }

  async #removeLeftovers(): Promise<void> {
    try {
      await new StoreFolders(this.#root).removeLeftovers(this.#nowMs);
    } catch (error) {
      // No run has made it yet.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** Of runs in the order of their receipt. */
function newestOfEach(runs: readonly StoredRun[]): Set<StoredRun> {
  const newest = new Map<string, StoredRun>();
  for (const run of runs) if (run.outcome !== 'broken') newest.set(run.backup, run);
  return new Set(newest.values());
}
