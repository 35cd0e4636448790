import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { forgetStore, type KnownStores, knownStores, rememberStore } from '../catalog/known-stores.js';
import { StateFolder } from '../catalog/state-folder.js';
import { messageOf, SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { openDirectoryStore } from '../store/directory.js';
import { asStoreErrors } from '../store/directory-errors.js';
import { makeRoot } from '../store/directory-folders.js';
import { hasManifests, identityOf, markerPath, readMarker } from '../store/directory-marker.js';
import { isDirectory, realPathOf } from '../store/directory-root.js';
import { makeMarker, newStoreId } from '../store/make-marker.js';
import { hasLastManifest } from './open-state.js';

/**
 * What tells whether a directory is the store that it should be, and not what is left where a disk is not mounted. It is
 * used where its marker says an id that this machine has stored to at that path, or where it knows none there. A store
 * made by an earlier version, which has `manifests/` and no marker, gets one. Where neither is there a new store is made,
 * unless this machine has stored at that path before or the path's parent does not exist. All else is refused: NOT_FOUND.
 */
export interface Archiving {
  /** `Settings.statePath`, in which this machine keeps which stores it has stored to. */
  statePath: string;
  /** Takes what would be refused, and knows it from then on. Default false. */
  createStore?: boolean | undefined;
  /** Makes and remembers nothing, and refuses what would be refused. Default false. */
  dryRun?: boolean | undefined;
  /** What a person types to have `createStore`, for the hint of a refusal. */
  createStoreCommand?: string | undefined;
}

/** A directory that may be stored in. */
export interface AdmittedDirectory {
  /** Its real path. */
  path: string;
  /** What was there: a marker; the runs of a store without one, as earlier versions made them; or no store. */
  found: 'marker' | 'manifests' | 'nothing';
  /** Whether this machine had stored to it at that path, as far as it knows. */
  known: boolean;
  /** What its marker says now; undefined where a dry run found none. */
  id: string | undefined;
}

export interface AdmitDirectoryOptions extends Archiving {
  path: string;
  onEvent?: EventListener | undefined;
}

/**
 * Decides whether a directory is stored in, and makes what is missing of it. Throws NOT_FOUND where it is refused, SYSTEM
 * where its marker cannot be written, CONFIG where the path is something else than a directory.
 */
export async function admitDirectory(options: AdmitDirectoryOptions): Promise<AdmittedDirectory> {
  return asStoreErrors(options.path, 'opening the store', async () => {
    const root = await realPathOf(options.path);
    const exists = await isDirectory(root);
    return await new Admission(root, options).decide(exists);
  });
}

class Admission {
  readonly #root: string;
  readonly #options: AdmitDirectoryOptions;
  readonly #known: KnownStores;

  constructor(root: string, options: AdmitDirectoryOptions) {
    this.#root = root;
    this.#options = options;
    this.#known = knownStores(options.statePath, root);
  }

  async decide(exists: boolean): Promise<AdmittedDirectory> {
    const marker = exists ? await readMarker(this.#root) : 'absent';
    if (typeof marker === 'object') return await this.#useMarked(marker.id);
    if (exists && (await hasManifests(this.#root))) return await this.#adopt(marker);
    return await this.#make(exists);
  }

  async #useMarked(id: string): Promise<AdmittedDirectory> {
    const { ids } = this.#known;
    const known = ids.has(id) || (await this.#holdsOwnRun(id));
    if (!known && ids.size > 0 && !this.#options.createStore)
      throw this.#refusal(
        `${this.#root} is another store (${id}) than this machine has stored to there (${[...ids].join(', ')})`,
        'Is the right disk mounted? To store to this one too',
      );
    if (!this.#options.dryRun) rememberStore(this.#options.statePath, this.#root, id);
    return { path: this.#root, found: 'marker', known, id };
  }

  /** Whether a catalog from before there were markers says so, although another machine gave the store its marker. */
  async #holdsOwnRun(id?: string): Promise<boolean> {
    const { before } = this.#known;
    if (before.length === 0) return false;
    const store = await openDirectoryStore({ path: this.#root, id });
    try {
      for (const backupName of before) {
        const identity = identityOf(this.#root, undefined);
        const folder = StateFolder.pathOf(this.#options.statePath, identity, backupName);
        if (await hasLastManifest(store, folder)) return true;
      }
      return false;
    } finally {
      await store.close();
    }
  }

  /** Never a matter for a person. The store is known before its marker is there, come what may between. */
  async #adopt(marker: 'absent' | 'damaged'): Promise<AdmittedDirectory> {
    const { statePath } = this.#options;
    const known = await this.#holdsOwnRun();
    const admitted = { path: this.#root, found: 'manifests', known } as const;
    if (this.#options.dryRun) {
      await this.#mustBeWritable(this.#root);
      return { ...admitted, id: undefined };
    }
    const own = newStoreId();
    rememberStore(statePath, this.#root, own);
    let id: string | undefined;
    try {
      id = await this.#marked(own);
    } finally {
      if (id !== own) forgetStore(statePath, this.#root, own);
    }
    rememberStore(statePath, this.#root, id);
    const others = !known && this.#known.ids.size > 0;
    const before =
      marker === 'absent' ? 'had no marker, as earlier versions made none' : 'had a damaged marker';
    this.#say(
      `the store ${this.#root} ${before}, and has one now: ${markerPath(this.#root)}` +
        (others ? '. This machine has stored to another store there: is the right disk mounted?' : ''),
      others ? 'warning' : 'info',
    );
    return { ...admitted, id };
  }

  async #make(exists: boolean): Promise<AdmittedDirectory> {
    const { ids, before } = this.#known;
    const { createStore, dryRun, statePath } = this.#options;
    const above = dirname(this.#root);
    if (!createStore && ids.size + before.length > 0)
      throw this.#refusal(
        `there is no store in ${this.#root}, where this machine has stored before`,
        'Is its disk mounted? To begin a new store there',
      );
    const hasParent = exists || (await isDirectory(above));
    if (!createStore && !hasParent)
      throw this.#refusal(
        `there is no directory ${above}, in which the store ${this.#root} would be made`,
        'Is its disk mounted, and [directory] path right? To make it all the same',
      );
    const admitted = { path: this.#root, found: 'nothing', known: false } as const;
    if (dryRun) {
      if (hasParent) await this.#mustBeWritable(exists ? this.#root : above);
      this.#say(`there is no store in ${this.#root} yet: the run would make one`);
      return { ...admitted, id: undefined };
    }
    const id = await this.#marked(newStoreId());
    rememberStore(statePath, this.#root, id);
    this.#say(`made a new store in ${this.#root}`);
    return { ...admitted, id };
  }

  async #marked(id: string): Promise<string> {
    try {
      await makeRoot(this.#root);
      return await makeMarker(this.#root, id);
    } catch (error) {
      throw this.#unwritable(error);
    }
  }

  async #mustBeWritable(folder: string): Promise<void> {
    try {
      await access(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw this.#unwritable(error);
    }
  }

  #unwritable(cause: unknown): SysbackupError {
    const message = `the store's marker ${markerPath(this.#root)} cannot be written: ${messageOf(cause)}`;
    return new SysbackupError('SYSTEM', message, {
      hint: 'The user this runs as must be able to write the directory. To read and restore, no marker is needed.',
      cause,
    });
  }

  #refusal(message: string, otherwise: string): SysbackupError {
    const command = this.#options.createStoreCommand ?? 'archiving with createStore';
    return new SysbackupError('NOT_FOUND', message, { hint: `${otherwise}, once: ${command}` });
  }

  #say(message: string, level: 'info' | 'warning' = 'info'): void {
    this.#options.onEvent?.({ type: 'log', level, message });
  }
}
