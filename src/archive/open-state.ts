import { rmSync } from 'node:fs';
import { handOver } from '../catalog/hand-over.js';
import { readJournal } from '../catalog/journal.js';
import { StateFolder } from '../catalog/state-folder.js';
import type { Settings } from '../config/settings.js';
import { identityBeforeMarker } from '../store/directory-marker.js';
import type { ObjectStore } from '../store/port.js';
import { isListed } from './fence.js';
import { keyOfEntry } from './recall.js';

export interface OpenStateOptions {
  settings: Pick<Settings, 'statePath' | 'backupName'>;
  store: ObjectStore;
  /** Nothing is moved. Default false. */
  dryRun?: boolean | undefined;
}

/**
 * The state folder of a store and a backup name, locked. A directory that has got its marker has another identity than
 * before. The catalog and the journal that it had go to the first store that still has what they name last, since several
 * disks may have taken turns at its path. Throws as {@link StateFolder.open} does, and what listing throws.
 */
export async function openState({ settings, store, dryRun }: OpenStateOptions): Promise<StateFolder> {
  const { statePath, backupName } = settings;
  const state = StateFolder.open(statePath, store.identity, backupName);
  const before = identityBeforeMarker(store.identity);
  if (before === undefined || StateFolder.isUsed(state.path)) return state;
  if (!StateFolder.isUsed(StateFolder.pathOf(statePath, before, backupName))) return state;
  let old: StateFolder | undefined;
  try {
    old = StateFolder.open(statePath, before, backupName);
    const what = {
      catalog: await hasLastManifest(store, old.path),
      journal: await hasLastOfJournal(store, old.journalPath, { store: before, backupName }),
    };
    if (dryRun === true && (what.catalog || what.journal)) {
      state.close({ untouched: true });
      return old;
    }
    handOver(old, state, what);
    old.close();
    if (dryRun !== true && !StateFolder.isUsed(old.path)) rmSync(old.path, { recursive: true, force: true });
    return state;
  } catch (error) {
    old?.close();
    state.close({ untouched: dryRun });
    throw error;
  }
}

/** Whether the store has the manifest that a catalog is of. */
export async function hasLastManifest(store: ObjectStore, folder: string): Promise<boolean> {
  const manifest = StateFolder.headIn(folder)?.manifest;
  return manifest !== undefined && (await isListed(store, manifest.key, manifest.version));
}

async function hasLastOfJournal(
  store: ObjectStore,
  path: string,
  head: { store: string; backupName: string },
): Promise<boolean> {
  const last = readJournal(path, [head])?.last;
  return last !== undefined && (await isListed(store, keyOfEntry(last), last.version));
}
