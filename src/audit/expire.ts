import { realpath, unlink } from 'node:fs/promises';
import { addUp } from '../add-up.js';
import { SysbackupError, errnoOf, throwIfAborted } from '../errors.js';
import { readManifest } from '../manifest/reader.js';
import type { HiddenRun } from '../manifest/hidden-runs.js';
import { listRuns, type StoredRun } from '../manifest/runs.js';
import { openDirectoryStore } from '../store/directory.js';
import { StoreFolders } from '../store/directory-folders.js';
import { furtherSlot, primarySlot, type Slot } from '../store/directory-layout.js';
import { whileLocked } from '../store/directory-lock.js';
import { isStore } from '../store/directory-marker.js';
import { readSidecar } from '../store/directory-sidecar.js';
import { listAll, type ListedVersion, type ObjectStore } from '../store/port.js';
import type { ExpireOptions, ExpireResult } from './expire-options.js';
import { referencesOf } from './named-versions.js';
import { runsToKeep } from './runs-to-keep.js';
import { nothingRemoved, StoredWeights } from './stored-weights.js';
import { VersionTable } from './version-table.js';

const MANIFESTS = 'manifests/';

/**
 * Removes from a directory store what no lock holds any more and no living manifest names; a manifest lives while it
 * is locked, or must stay all the same (see {@link runsToKeep}). What is being stored or renewed at the same time is
 * safe: each version's lock is looked at once more, alone, before it goes. Throws NOT_FOUND, ACCESS_DENIED,
 * STORE_FAILED, ABORTED, and, before anything is removed, REFUSED where a living manifest cannot be read, since nobody
 * knows then what it names, or the sidecar of any cannot be, and where all runs are dated ahead of now.
 */
export async function expire(options: ExpireOptions): Promise<ExpireResult> {
  const store = await openDirectoryStore({ path: options.path });
  try {
    const root = await realpath(options.path);
    if (!(await isStore(root)))
      throw new SysbackupError('NOT_FOUND', `there is no store in ${root}`, {
        hint: 'Is the disk mounted that it should be on?',
      });
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
  readonly #result: ExpireResult = {
    runsKept: 0,
    runsRemoved: 0,
    keptRuns: [],
    kept: 0,
    removed: 0,
    bytes: 0,
  };

  constructor(store: ObjectStore, root: string, nowMs: number, options: ExpireOptions) {
    this.#store = store;
    this.#root = root;
    this.#nowMs = nowMs;
    this.#options = options;
  }

  async run(): Promise<ExpireResult> {
    const { onEvent, signal } = this.#options;
    const runs = await listRuns(this.#store, { onEvent, onHidden: refuseForHidden });
    const lapsed = new Set<StoredRun>();
    for (const run of runs) if (!(await this.#isLocked(run.key, run.version))) lapsed.add(run);
    const weights = new StoredWeights(this.#store, signal);
    const keep = await runsToKeep(runs, lapsed, this.#nowMs, weights, this.#options);
    this.#result.keptRuns = keep.kept([...lapsed]);
    for (const run of runs) {
      throwIfAborted(signal);
      if (keep.has(run) || !lapsed.has(run)) await this.#take(run);
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
      throw nothingRemoved(run, this.#root, cause);
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

/** Whether such a run lives, and what it names, nobody knows. */
function refuseForHidden(hidden: readonly HiddenRun[]): void {
  const last = hidden.at(-1);
  if (last === undefined) return;
  const more = hidden.length === 1 ? '' : `, and ${hidden.length - 1} more such runs`;
  throw new SysbackupError('REFUSED', `nothing was removed: ${last.message}${more}`, {
    hint: `To mend it: ${last.wayOut}`,
  });
}
