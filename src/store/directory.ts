import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { SysbackupError, errnoOf } from '../errors.js';
import { fileSystemTime } from './directory-clock.js';
import { listSetAside } from './directory-damage.js';
import { asStoreErrors } from './directory-errors.js';
import { checkKey, furtherSlot, isVersion, primarySlot, type Slot } from './directory-layout.js';
import { listVersions, type ListedPosition } from './directory-listing.js';
import { identityOf, readMarker } from './directory-marker.js';
import type { DirectoryPuts } from './directory-puts.js';
import { readBytes } from './directory-read.js';
import { isDirectory, realPathOf } from './directory-root.js';
import { readSidecar, readSidecarSync, type Sidecar } from './directory-sidecar.js';
import { sizeOf, sizeOfSync } from './directory-size.js';
import { md5OfFile } from './directory-write.js';
import { isLocalFileSystem } from './file-system-kind.js';
import { ListingCursors } from './listing-cursors.js';
import { noSuchVersion, StoreError, storeGone } from './store-error.js';
import { StoreClock } from './store-clock.js';
import type {
  ByteRange,
  ListPage,
  ListRequest,
  ObjectStore,
  PutRequest,
  Retention,
  StoreCapabilities,
  StoreDamage,
  StoredVersion,
  VersionHead,
} from './port.js';

export interface DirectoryStoreOptions {
  /** The root. Keys are paths below it. */
  path: string;
  /**
   * Whether root and marker are made at once where they are missing. Default false: a root that does not exist is
   * `NOT_FOUND`, as its disk may not be mounted, and without a marker nothing can be put. Who does not know that a store
   * is to be there asks `admitDirectory` of archive/.
   */
  create?: boolean;
  /** What the marker says, for who has read it. Default: it is read. */
  id?: string | undefined;
  /** Whether a root that does not exist counts as an empty store, for a look at what a run would do. Default false. */
  mayBeAbsent?: boolean;
  /** Milliseconds since the epoch, where the file system cannot be asked for its time. Default `Date.now`. */
  machineTime?: () => number;
  clock?: StoreClock;
}

/**
 * Opens a directory as a store. Throws `NOT_FOUND` (see `create`), or `CONFIG` where the path is something else
 * than a directory.
 */
export async function openDirectoryStore(options: DirectoryStoreOptions): Promise<ObjectStore> {
  const path = resolve(options.path);
  return asStoreErrors(path, 'opening the store', async () => {
    const root = await realPathOf(path);
    if (options.create === true) {
      const [{ makeRoot }, { makeMarker, newStoreId }] = await Promise.all([
        import('./directory-folders.js'),
        import('./make-marker.js'),
      ]);
      if (!(await isDirectory(root))) await makeRoot(root);
      await makeMarker(root, newStoreId());
    }
    const exists = await isDirectory(root);
    if (!exists && options.mayBeAbsent !== true)
      throw new SysbackupError('NOT_FOUND', `there is no directory ${path}`, {
        hint: 'Is the disk mounted that it should be on?',
      });
    const isLocal = exists && (await isLocalFileSystem(root));
    return new DirectoryStore(root, options, options.id ?? (await idOf(root)), isLocal);
  });
}

/** Reading needs no marker: one that cannot be read is as good as none. */
async function idOf(root: string): Promise<string | undefined> {
  const marker = await readMarker(root).catch(() => undefined);
  return typeof marker === 'object' ? marker.id : undefined;
}

/**
 * A store in a directory (its parts: directory-layout.ts). Versions are kept and locks recorded and never shortened
 * through this store; the file system does not enforce them.
 */
class DirectoryStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly localRoot: string | undefined;
  readonly damage: StoreDamage = {
    setAside: () => this.#try('listing what was set aside', () => listSetAside(this.#root)),
    isIntact: (key, version) => this.#try(`reading ${key}`, () => this.#isIntact(key, version)),
  };
  readonly #root: string;
  /** What its marker said when it was opened. */
  readonly #id: string | undefined;
  readonly #clock: StoreClock;
  readonly #machineTime: () => number;
  #puts: Promise<DirectoryPuts> | undefined;
  readonly #cursors: ListingCursors<ListedPosition>;
  /** Asked for once, when there is a directory. */
  #local: Promise<boolean> | undefined;

  /** `isLocal`: false also where nobody knows, since the directory does not exist. */
  constructor(root: string, options: DirectoryStoreOptions, id: string | undefined, isLocal: boolean) {
    this.#root = root;
    this.#id = id;
    this.localRoot = isLocal ? root : undefined;
    if (isLocal) this.#local = Promise.resolve(true);
    this.description = root;
    this.identity = identityOf(root, id);
    this.#clock = options.clock ?? new StoreClock();
    this.#machineTime = options.machineTime ?? (() => Date.now());
    this.#cursors = new ListingCursors(
      (range, onHidden) => listVersions(root, range, onHidden),
      ({ key, received, version }) => ({ key, received, version }),
    );
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    checkKey(request.key);
    return this.#try(`storing ${request.key}`, async () => (await this.#writing()).put(request));
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    return this.#try(`reading ${key}`, async () => {
      try {
        const { path, size } = await this.#dataOf(key, version);
        return await readBytes(path, size, range, await this.#isLocal());
      } catch (error) {
        // Found a moment ago, and removed by `expire` since.
        if (errnoOf(error) === 'ENOENT') throw noSuchVersion(this.description, key, version, error);
        throw error;
      }
    });
  }

  async head(key: string, version: string): Promise<VersionHead> {
    return this.#try(`looking at ${key}`, async () => {
      const { size, sidecar } = await this.#find(key, version);
      return {
        size,
        etag: sidecar.version,
        metadata: sidecar.metadata,
        retention: sidecar.retention,
        received: sidecar.received,
        storageClass: undefined,
      };
    });
  }

  async list(request: ListRequest): Promise<ListPage> {
    return this.#try(`listing ${request.prefix}`, async () => {
      if (!(await isDirectory(this.#root))) return { versions: [], next: undefined };
      return this.#cursors.page(request);
    });
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.#try(
      `reading the lock of ${key}`,
      async () => (await this.#find(key, version)).sidecar.retention,
    );
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    await this.#try(`extending the lock of ${key}`, async () => {
      const { slot } = await this.#find(key, version);
      const puts = await this.#writing();
      if (!(await puts.extend(key, version, slot, retention)))
        throw noSuchVersion(this.description, key, version);
    });
  }

  async capabilities(): Promise<StoreCapabilities> {
    return { objectLock: true, versioning: true };
  }

  async now(): Promise<number> {
    if (!this.#clock.known)
      this.#clock.heard(await this.#try('asking for the time', () => this.#fileSystemTime()));
    return this.#clock.now() ?? this.#machineTime();
  }

  async close(): Promise<void> {
    await (await this.#puts)?.close();
  }

  /** Loaded only to write: with the system calls it takes 10 ms, of which listing and reading need nothing. */
  #writing(): Promise<DirectoryPuts> {
    this.#puts ??= import('./directory-puts.js').then(
      ({ DirectoryPuts }) => new DirectoryPuts(this.#root, this.#id, () => this.now()),
    );
    return this.#puts;
  }

  async #fileSystemTime(): Promise<number> {
    try {
      return await fileSystemTime(this.#root, this.#machineTime);
    } catch (error) {
      // The directory went at that moment.
      if (errnoOf(error) === 'ENOENT') throw storeGone(this.#root, error);
      throw error;
    }
  }

  #try<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return asStoreErrors(this.description, doing, work);
  }

  #isLocal(): Promise<boolean> {
    this.#local ??= isLocalFileSystem(this.#root).catch(() => false);
    return this.#local;
  }

  async #find(key: string, version: string): Promise<{ slot: Slot; sidecar: Sidecar; size: number }> {
    const wait = await this.#isLocal();
    for (const slot of this.#slotsOf(key, version)) {
      const sidecar = wait ? readSidecarSync(slot.sidecar) : await readSidecar(slot.sidecar);
      if (sidecar !== 'absent' && sidecar !== 'unreadable' && sidecar.version === version) {
        const size = wait ? sizeOfSync(slot.data) : await sizeOf(slot.data);
        if (size !== undefined) return { slot, sidecar, size };
      }
    }
    throw noSuchVersion(this.description, key, version);
  }

  /** Where the bytes of a version are. Without its sidecar they are found by their MD5, so that they can be read. */
  async #dataOf(key: string, version: string): Promise<{ path: string; size: number }> {
    try {
      const { slot, size } = await this.#find(key, version);
      return { path: slot.data, size };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'NOT_FOUND') throw error;
      for (const { data } of this.#slotsOf(key, version)) {
        const size = await sizeOf(data);
        if (size !== undefined && (await md5OfFile(data)) === version) return { path: data, size };
      }
      throw error;
    }
  }

  async #isIntact(key: string, version: string): Promise<boolean> {
    const { slot, size, sidecar } = await this.#find(key, version);
    if (size !== sidecar.size) return false;
    return !(await this.#isLocal()) || (await md5OfFile(slot.data)) === version;
  }

  #slotsOf(key: string, version: string): Slot[] {
    checkKey(key);
    return isVersion(version) ? [primarySlot(this.#root, key), furtherSlot(this.#root, key, version)] : [];
  }
}
