import { rm } from 'node:fs/promises';
import { knownStores, rememberStore } from '../catalog/known-stores.js';
import { markerPath, readMarker } from '../store/directory-marker.js';
import { realPathOf } from '../store/directory-root.js';
import { makeMarker, newStoreId } from '../store/make-marker.js';

export interface PutStoreOptions {
  /** A directory that is there. */
  path: string;
  /** Numbers; undefined: as the process. */
  owner: { uid: number; gid: number } | undefined;
  /** The state directory of the machine's `archive`. */
  statePath: string | undefined;
}

/**
 * Makes a directory a store, unless it is one. Where this machine has stored to others at that path, it is known beside
 * them from now on, so that `archive` takes it. Resolves with what takes that back.
 */
export async function putStore({ path, owner, statePath }: PutStoreOptions): Promise<() => Promise<void>> {
  const root = await realPathOf(path);
  const before = await readMarker(root);
  const id = await makeMarker(root, newStoreId(), { owner });
  if (statePath !== undefined && knownStores(statePath, root).ids.size > 0)
    rememberStore(statePath, root, id);
  return async () => {
    if (before === 'absent') await rm(markerPath(root), { force: true });
  };
}
