import { dirname } from 'node:path';
import { errnoOf } from '../errors.js';
import { isLocalFileSystem } from './file-system-kind.js';
import { whileLocked } from './directory-lock.js';
import { StoreFolders } from './directory-folders.js';
import { furtherSlot, primarySlot, type Slot } from './directory-layout.js';
import { MarkerWatch } from './marker-watch.js';
import { sizeOf, sizeOfSync } from './directory-size.js';
import { readSidecar, readSidecarSync, type Sidecar, type SidecarReading } from './directory-sidecar.js';
import { DirectoryWriter, holdsData, md5OfFile, type TemporaryFile } from './directory-write.js';
import { refusalOfExtension, sameLock, stricterOf } from './lock-rules.js';
import { StoreError } from './store-error.js';
import { SyncRounds } from './sync-rounds.js';
import type { PutRequest, Retention, StoredVersion } from './port.js';

/** What puts are made with, once there is a root. */
interface Ready {
  writer: DirectoryWriter;
  rounds: SyncRounds;
  /** Whether looking is waited for, which on a local file system is faster than handing it to a thread. */
  isLocal: boolean;
}

interface Choice {
  slot: Slot;
  /** How the slot is known to be this version's where its sidecar does not say so: the name, or the data in it. */
  by?: 'name' | 'data' | undefined;
  /** Its sidecar is there already. */
  claimed: boolean;
  received: number;
  /** Its data is there, and only its sidecar is not. */
  adopt: boolean;
}

/**
 * What changes a directory store. The sidecar is in its place before the data, so data is never there without
 * its recorded lock; a sidecar alone stands for nothing, until the same bytes are put again.
 */
export class DirectoryPuts {
  readonly #root: string;
  readonly #now: () => Promise<number>;
  readonly #folders: StoreFolders;
  readonly #marker: MarkerWatch;
  #ready: Promise<Ready> | undefined;

  /** @param id what the marker said when the store was opened; without one nothing can be put */
  constructor(root: string, id: string | undefined, now: () => Promise<number>) {
    this.#root = root;
    this.#now = now;
    this.#folders = new StoreFolders(root);
    this.#marker = new MarkerWatch(root, id);
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    await this.#marker.check();
    try {
      return await this.#putOnce(request);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      // Somebody removed a folder that was there before, or its disk is no longer mounted.
      await this.#marker.check();
      this.#folders.forget();
      await this.#folders.createTemporary();
      return this.#putOnce(request);
    }
  }

  /**
   * False where this version's sidecar is gone, as `expire` may have removed it a moment ago. Throws `ACCESS_DENIED` where
   * this would make the lock shorter or weaker.
   */
  async extend(key: string, version: string, slot: Slot, retention: Retention): Promise<boolean> {
    const { writer } = await this.#start();
    const extended = await whileLocked(slot.sidecar, async () => {
      const sidecar = await readSidecar(slot.sidecar);
      if (sidecar === 'absent' || sidecar === 'unreadable' || sidecar.version !== version) return false;
      const refusal = refusalOfExtension(sidecar.retention, retention);
      if (refusal !== undefined)
        throw new StoreError(
          'ACCESS_DENIED',
          `the lock of ${key} in ${this.#root} was not changed: ${refusal}`,
        );
      if (!sameLock(sidecar.retention, retention))
        await replaceSidecar(writer, slot, { ...sidecar, retention });
      return true;
    });
    return extended === true;
  }

  async close(): Promise<void> {
    const ready = this.#ready;
    this.#ready = undefined;
    await (await ready)?.rounds.close();
  }

  async #putOnce(request: PutRequest): Promise<StoredVersion> {
    const { writer, isLocal } = await this.#start();
    const version = request.body.md5;
    let data: TemporaryFile | undefined;
    try {
      // Each turn after the first means that another writer claimed the place in between.
      for (;;) {
        const { slot, by, claimed, received, adopt } = await this.#choose(request.key, version, isLocal);
        await this.#folders.create(dirname(slot.data));
        await this.#folders.create(dirname(slot.sidecar));
        const writeData = async (): Promise<TemporaryFile> =>
          (data ??= await writer.data(request.key, request.body));
        const sidecar: Sidecar = {
          version,
          size: request.body.size,
          metadata: lowerCaseKeys(request.metadata),
          retention: request.retention,
          received,
        };
        if (claimed) {
          if (await complete(writer, slot, by, sidecar, writeData)) return { version };
        } else if (await claim(writer, slot, sidecar, adopt ? undefined : writeData)) return { version };
      }
    } finally {
      await writer.discard(data);
    }
  }

  /** Where a version of a key belongs. */
  async #choose(key: string, version: string, isLocal: boolean): Promise<Choice> {
    const read = (path: string): SidecarReading | Promise<SidecarReading> =>
      isLocal ? readSidecarSync(path) : readSidecar(path);
    const now = await this.#now();
    const primary = primarySlot(this.#root, key);
    const first = await read(primary.sidecar);
    if (typeof first === 'string') {
      const size = isLocal ? sizeOfSync(primary.data) : await sizeOf(primary.data);
      // Data whose sidecar was lost is somebody's: never written over, taken on where it is the same.
      const same = size !== undefined && (await md5OfFile(primary.data)) === version;
      const vacant = first === 'absent' && size === undefined;
      if (vacant || (first === 'absent' && same))
        return { slot: primary, claimed: false, received: now, adopt: same };
      // A sidecar that cannot be read is replaced, if it is a file at all.
      if (same && (await sizeOf(primary.sidecar)) !== undefined)
        return { slot: primary, by: 'data', claimed: true, received: now, adopt: false };
    } else if (first.version === version)
      return { slot: primary, claimed: true, received: now, adopt: false };
    const further = furtherSlot(this.#root, key, version);
    const received = typeof first === 'string' ? now : Math.max(now, first.received + 1);
    const claimed = (await read(further.sidecar)) !== 'absent';
    return { slot: further, by: 'name', claimed, received, adopt: false };
  }

  #start(): Promise<Ready> {
    if (this.#ready === undefined) {
      const starting = this.#open();
      this.#ready = starting;
      starting.catch(() => {
        if (this.#ready === starting) this.#ready = undefined;
      });
    }
    return this.#ready;
  }

  async #open(): Promise<Ready> {
    await this.#folders.createTemporary();
    await this.#folders.removeLeftovers(await this.#now());
    const rounds = await SyncRounds.open(this.#root);
    const isLocal = await isLocalFileSystem(this.#root);
    return { writer: new DirectoryWriter(this.#root, rounds, isLocal), rounds, isLocal };
  }
}

function lowerCaseKeys(metadata: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([key, text]) => [key.toLowerCase(), text]));
}

/** Stores under a sidecar of our own. False where somebody else's is there by now. */
async function claim(
  writer: DirectoryWriter,
  slot: Slot,
  sidecar: Sidecar,
  writeData: (() => Promise<TemporaryFile>) | undefined,
): Promise<boolean> {
  const data = await writeData?.();
  const lock = await writer.sidecar(sidecar);
  try {
    await writer.settle(data === undefined ? [lock] : [data, lock]);
    if (!(await writer.claim(lock, slot.sidecar))) return false;
    if (data !== undefined) await writer.move(data, slot.data);
    await writer.settleNames([slot.sidecar, slot.data]);
    return true;
  } finally {
    await writer.discard(lock);
  }
}

/** The same bytes again: the later of both locks, and the data where it is missing or damaged. */
async function complete(
  writer: DirectoryWriter,
  slot: Slot,
  by: Choice['by'],
  wanted: Sidecar,
  writeData: () => Promise<TemporaryFile>,
): Promise<boolean> {
  const completed = await whileLocked(slot.sidecar, async () => {
    const found = await readSidecar(slot.sidecar);
    if (found === 'absent') return false;
    const known = found === 'unreadable' || found.version !== wanted.version ? undefined : found;
    const whole = await holdsData(slot, wanted.version, wanted.size);
    const isOwn = by === 'name' || (by === 'data' && found === 'unreadable' && whole);
    if (known === undefined && !isOwn) return false;
    const retention = stricterOf(known?.retention, wanted.retention);
    const sidecar = whole && known !== undefined ? { ...known, retention } : { ...wanted, retention };
    if (known === undefined || !whole || !sameLock(known.retention, retention))
      await replaceSidecar(writer, slot, sidecar);
    if (!whole) {
      const data = await writeData();
      await writer.settle([data]);
      await writer.move(data, slot.data);
      await writer.settleNames([slot.data]);
    }
    return true;
  });
  return completed === true;
}

/** Only while its lock is held. */
async function replaceSidecar(writer: DirectoryWriter, slot: Slot, sidecar: Sidecar): Promise<void> {
  const file = await writer.sidecar(sidecar);
  try {
    await writer.settle([file]);
    await writer.move(file, slot.sidecar);
    await writer.settleNames([slot.sidecar]);
  } finally {
    await writer.discard(file);
  }
}
