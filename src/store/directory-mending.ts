import { lstat, open, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asStoreErrors } from './directory-errors.js';
import { StoreFolders } from './directory-folders.js';
import {
  furtherSlot,
  primarySlot,
  SET_ASIDE_FOLDER,
  type Slot,
  TEMPORARY_FOLDER,
} from './directory-layout.js';
import { whileLocked } from './directory-lock.js';
import { readSidecar, type Sidecar } from './directory-sidecar.js';
import { sizeOf } from './directory-size.js';
import { DirectoryWriter, md5OfFile } from './directory-write.js';
import { isLocalFileSystem } from './file-system-kind.js';
import { SyncRounds } from './sync-rounds.js';

/** Data that is there without a readable sidecar. */
export interface FoundData {
  slot: Slot;
  /** MD5 of its bytes, which is the version it is. */
  md5: string;
  size: number;
  /** When the store received it, as far as the file tells: milliseconds since the epoch. */
  received: number;
}

/**
 * What a person may have done about damage in a directory store: sidecars are written again, and data is moved to
 * `set-aside/`, or noted there where it is missing. Nothing is removed. Errors are those of a store.
 */
export class DirectoryMending {
  readonly #root: string;
  readonly #folders: StoreFolders;
  readonly #rounds: SyncRounds;
  readonly #writer: DirectoryWriter;

  private constructor(root: string, rounds: SyncRounds, isLocal: boolean) {
    this.#root = root;
    this.#folders = new StoreFolders(root);
    this.#rounds = rounds;
    this.#writer = new DirectoryWriter(root, rounds, isLocal);
  }

  static open(path: string): Promise<DirectoryMending> {
    return asStoreErrors(path, 'opening the store', async () => {
      const root = await realpath(path);
      return new DirectoryMending(root, await SyncRounds.open(root), await isLocalFileSystem(root));
    });
  }

  async close(): Promise<void> {
    await this.#rounds.close();
  }

  /** The data of a file whose sidecar is missing or cannot be read; `named`: the version in the file's name. */
  dataWithoutSidecar(key: string, named: string | undefined): Promise<FoundData | undefined> {
    return this.#try(`reading ${key}`, () => this.#dataIn(this.#slotOf(key, named), named));
  }

  /** The same of a version, wherever its data is. */
  versionWithoutSidecar(key: string, version: string): Promise<FoundData | undefined> {
    return this.#try(`reading ${key}`, async () => {
      for (const named of [undefined, version]) {
        const found = await this.#dataIn(this.#slotOf(key, named), named);
        if (found?.md5 === version) return found;
      }
      return undefined;
    });
  }

  /** Writes the sidecar of data that has none that can be read. */
  async writeSidecar(key: string, slot: Slot, sidecar: Sidecar): Promise<void> {
    await this.#try(`writing the sidecar of ${key}`, async () => {
      await this.#folders.create(join(this.#root, TEMPORARY_FOLDER));
      await this.#folders.create(dirname(slot.sidecar));
      await this.#locked(slot, () => this.#replace(slot, sidecar));
    });
  }

  /**
   * Moves the data of a version to `set-aside/<key>@<version>` where `isWrong` says, asked while nobody else writes
   * the version, that it is. Its sidecar stays, so that the same bytes are locked as before once they are stored again.
   * Returns where to, below the root; undefined where it was left.
   */
  setAside(key: string, version: string, isWrong: () => Promise<boolean>): Promise<string | undefined> {
    return this.#try(`setting ${key} aside`, async () => {
      for (const slot of [this.#slotOf(key, undefined), this.#slotOf(key, version)]) {
        const sidecar = await readSidecar(slot.sidecar);
        if (typeof sidecar === 'string' || sidecar.version !== version) continue;
        if ((await sizeOf(slot.data)) === undefined) continue;
        return this.#locked(slot, async () =>
          (await isWrong()) ? await this.#moveAway(slot.data, key, version) : undefined,
        );
      }
      return undefined;
    });
  }

  /** Moves data that has no readable sidecar there, and with it the sidecar that cannot be read. */
  setAsideHidden(key: string, { slot, md5 }: FoundData, named: string | undefined): Promise<string> {
    const version = named ?? md5;
    return this.#try(`setting ${key} aside`, () =>
      this.#locked(slot, async () => {
        const to = await this.#moveAway(slot.data, key, version);
        if (await isThere(slot.sidecar)) await this.#moveAway(slot.sidecar, key, version, '.json');
        return to;
      }),
    );
  }

  /** Makes an empty `set-aside/<key>@<version>`: the version's data is gone. Returns its path below the root. */
  noteMissing(key: string, version: string): Promise<string> {
    return this.#try(`noting that ${key} is missing`, async () => {
      const below = `${SET_ASIDE_FOLDER}/${key}@${version}`;
      const path = join(this.#root, below);
      await this.#folders.create(dirname(path));
      if (!(await isThere(path))) {
        await (await open(path, 'a', 0o600)).close();
        await this.#writer.settleNames([path]);
      }
      return below;
    });
  }

  #slotOf(key: string, named: string | undefined): Slot {
    return named === undefined ? primarySlot(this.#root, key) : furtherSlot(this.#root, key, named);
  }

  async #dataIn(slot: Slot, named: string | undefined): Promise<FoundData | undefined> {
    const sidecar = await readSidecar(slot.sidecar);
    if (typeof sidecar !== 'string' && (named === undefined || sidecar.version === named)) return undefined;
    const size = await sizeOf(slot.data);
    if (size === undefined) return undefined;
    const received = Math.floor((await lstat(slot.data)).mtimeMs);
    return { slot, md5: await md5OfFile(slot.data), size, received };
  }

  async #replace(slot: Slot, sidecar: Sidecar): Promise<void> {
    const file = await this.#writer.sidecar(sidecar);
    try {
      await this.#writer.settle([file]);
      // Where there is none, a run that stores the same bytes may be about to write its own, and then that one counts.
      if (await isThere(slot.sidecar)) await this.#writer.move(file, slot.sidecar);
      else await this.#writer.claim(file, slot.sidecar);
      await this.#writer.settleNames([slot.sidecar]);
    } finally {
      await this.#writer.discard(file);
    }
  }

  /** An earlier copy of the same version gets a number: nothing is lost. */
  async #moveAway(path: string, key: string, version: string, ending = ''): Promise<string> {
    const below = `${SET_ASIDE_FOLDER}/${key}@${version}${ending}`;
    const to = join(this.#root, below);
    await this.#folders.create(dirname(to));
    if (await isThere(to)) {
      let number = 1;
      while (await isThere(`${to}.${number}`)) number++;
      await rename(to, `${to}.${number}`);
    }
    await rename(path, to);
    await this.#writer.settleNames([to, path]);
    return below;
  }

  /** Alone, where there is a file to hold the lock of. */
  async #locked<T>(slot: Slot, work: () => Promise<T>): Promise<T> {
    if ((await sizeOf(slot.sidecar)) === undefined) return work();
    const done = await whileLocked(slot.sidecar, work);
    // Somebody removed it meanwhile.
    return done === 'gone' ? work() : done;
  }

  #try<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return asStoreErrors(this.#root, doing, work);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
