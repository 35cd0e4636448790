import { chmod, lstat, mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../errors.js';
import { TEMPORARY_FOLDER } from './directory-layout.js';
import { StoreError } from './store-error.js';
import { syncDirectory } from './sync-rounds.js';

/** What a run that was killed left behind is removed after this long. */
const LEFTOVER_AFTER_MS = 2 * 24 * 3600 * 1000;

/** The folders of a directory store, made when first needed. */
export class StoreFolders {
  readonly #root: string;
  readonly #known = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folder for temporary files. The root must be there: only who has decided on it makes it (makeRoot). */
  async createTemporary(): Promise<void> {
    await this.create(join(this.#root, TEMPORARY_FOLDER));
  }

  /** Makes a folder below the root durably. None of the folders above it, up to the root, may be a link. */
  async create(path: string): Promise<void> {
    if (path === this.#root) return;
    let made = this.#known.get(path);
    if (made === undefined) {
      made = this.create(dirname(path)).then(() => this.#createOne(path));
      this.#known.set(path, made);
      made.catch(() => this.#known.delete(path));
    }
    await made;
  }

  /** Somebody may have removed folders: looks at each anew. */
  forget(): void {
    this.#known.clear();
  }

  async #createOne(path: string): Promise<void> {
    const { mode } = await stat(this.#root);
    try {
      await mkdir(path, { mode: 0o700 });
      // As open to the group as the root is, and never to others: these are copies of files that may be secret.
      if ((mode & 0o2070) !== 0) await chmod(path, (mode & 0o2070) | 0o700);
      await syncDirectory(dirname(path));
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (!(await lstat(path)).isDirectory())
        throw new StoreError('STORE_FAILED', `${path} is in the way: the store needs a directory there`, {
          hint: 'It must be a real directory, not a file and not a link.',
        });
    }
  }

  /** Removes temporary files whose writers are long gone. `now` by the file system's clock. */
  async removeLeftovers(now: number): Promise<void> {
    const folder = join(this.#root, TEMPORARY_FOLDER);
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.tmp')) continue;
      const path = join(folder, name);
      try {
        if (now - (await lstat(path)).mtimeMs > LEFTOVER_AFTER_MS) await unlink(path);
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error; // Another machine was faster.
      }
    }
  }
}

/** Makes the root of a store, and the folders above it, durably. Others than the owner get no rights on them. */
export async function makeRoot(root: string): Promise<void> {
  const first = await mkdir(root, { recursive: true, mode: 0o700 });
  if (first !== undefined) await syncUpwards(root, dirname(first));
}

async function syncUpwards(from: string, to: string): Promise<void> {
  for (let path = dirname(from); path.startsWith(to); path = dirname(path)) {
    await syncDirectory(path);
    if (path === dirname(path)) return;
  }
}
