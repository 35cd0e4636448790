import type { CatalogHead } from '../catalog/head.js';
import { knownHeads } from '../catalog/known-heads.js';
import { USUAL_BUNDLE_BELOW } from '../config/content-section.js';
import type { Settings } from '../config/settings.js';
import { SysbackupError } from '../errors.js';
import { manifestPrefix, parseManifestKey } from '../manifest/keys.js';
import { listAll, type ObjectStore } from '../store/port.js';

/** Below which size files go into bundles, and why. */
export interface BundleBelow {
  /** Bytes. What the catalog records. */
  value: number;
  /** The same, as far as blocks are that long: a bundled file is one block. */
  inForce: number;
  reason: BundleBelowReason;
}

export type BundleBelowReason =
  /** The conf says it. */
  | 'set'
  /** The catalog records it. */
  | 'recorded'
  /** The catalog is from before it was recorded, when nothing set meant none. */
  | 'not-recorded'
  /** No catalog, and the store has runs of this backup name and no bundle: their contents stand by themselves. */
  | 'no-bundles'
  /** No catalog, and no run that could have stored anything by itself. */
  | 'usual';

/**
 * What the conf says, else what this machine did before: to change it would store every small file once more, in the
 * other form. Sends up to two LISTs, and none where the conf says it or there is a catalog.
 *
 * @param head of the catalog; undefined where there is none that can be believed
 * @param hasRuns whether the store lists runs of this backup name; asked where it is not known
 */
export async function bundleBelowOf(
  { backupName, content }: Pick<Settings, 'backupName' | 'content'>,
  head: CatalogHead | undefined,
  store: Pick<ObjectStore, 'list'>,
  hasRuns?: boolean,
): Promise<BundleBelow> {
  const { bundleBelow, blockSize } = content;
  const of = (value: number, reason: BundleBelowReason): BundleBelow => ({
    value,
    inForce: Math.min(value, blockSize),
    reason,
  });
  if (bundleBelow !== undefined) return of(bundleBelow, 'set');
  if (head !== undefined)
    return head.bundleBelow === undefined ? of(0, 'not-recorded') : of(head.bundleBelow, 'recorded');
  const anyRun = hasRuns ?? (await hasRun(store, backupName));
  if (anyRun && !(await hasBundle(store))) return of(0, 'no-bundles');
  return of(USUAL_BUNDLE_BELOW, 'usual');
}

/** Rows of a listing of which the first is nearly always the answer. */
const FEW = 100;

async function hasRun(store: Pick<ObjectStore, 'list'>, backupName: string): Promise<boolean> {
  for await (const { key, deleteMarker } of listAll(store, {
    prefix: manifestPrefix(backupName),
    limit: FEW,
  }))
    if (!deleteMarker && parseManifestKey(key) !== undefined) return true;
  return false;
}

/** A machine that stored bundles may list them; a policy of before there were any need not allow it. */
async function hasBundle(store: Pick<ObjectStore, 'list'>): Promise<boolean> {
  try {
    for await (const { deleteMarker } of listAll(store, { prefix: 'bundles/', limit: FEW }))
      if (!deleteMarker) return true;
    return false;
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'ACCESS_DENIED') return false;
    throw error;
  }
}

/** What the next run will take, as far as that can be said; `run`: the one whose catalog says so. */
export interface ForeseenBundleBelow {
  value: number | undefined;
  /**
   * `undecided`: there is no catalog, and the store was not asked. `several`: there are catalogs of several stores, which
   * say different things.
   */
  reason: BundleBelowReason | 'undecided' | 'several';
  run?: string;
}

/** What {@link bundleBelowOf} will say in the next run. Without a store it is not asked. */
export async function foreseeBundleBelow(
  settings: Settings,
  store?: Pick<ObjectStore, 'identity' | 'list'>,
): Promise<ForeseenBundleBelow> {
  const heads = headsFor(settings, store);
  const [head] = heads;
  if (settings.content.bundleBelow === undefined) {
    if (heads.some(({ bundleBelow }) => bundleBelow !== head?.bundleBelow))
      return { value: undefined, reason: 'several' };
    if (head === undefined && store === undefined) return { value: undefined, reason: 'undecided' };
  }
  const { inForce, reason } = await bundleBelowOf(settings, head, store ?? NEVER_ASKED);
  return { value: inForce, reason, ...(head === undefined ? {} : { run: head.run }) };
}

/** Of this store where that is known; of a directory all, whose identity may have changed. */
function headsFor(
  { statePath, backupName, destination }: Settings,
  store: Pick<ObjectStore, 'identity'> | undefined,
): CatalogHead[] {
  const heads = knownHeads(statePath, backupName);
  if (store === undefined) return heads;
  const own = heads.filter((head) => head.store === store.identity);
  return own.length === 0 && destination.kind === 'directory' ? heads : own;
}

const NEVER_ASKED: Pick<ObjectStore, 'list'> = {
  list: () => Promise.reject(new Error('a store that is not there was asked')),
};
