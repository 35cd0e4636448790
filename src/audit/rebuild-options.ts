import type { Settings } from '../config/settings.js';
import type { EventListener } from '../events.js';
import type { StoredRun } from '../manifest/runs.js';
import type { ObjectStore } from '../store/port.js';

export interface RebuildCatalogOptions {
  /** Those that `archive` runs with: the catalog is that of their state directory, store and backup name. */
  settings: Settings;
  /** The store that `archive` stores in, opened with the right to read. */
  store: ObjectStore;
  /**
   * Which run to read back. Default: the newest of this machine under the backup name that is whole, not broken and
   * not empty. One that is named may be another machine's: this machine set up anew has another id.
   */
  run?: StoredRun | undefined;
  /**
   * Whether bundles are not read. Then what the manifest says of them is believed, which whoever has had this
   * machine's rights could have made up; reading them costs their transfer and proves it. Default false.
   */
  trustManifest?: boolean | undefined;
  /**
   * Asked where a whole catalog is there already, which `run` wrote: whether the new one may take its place. Default:
   * it may not.
   */
  mayReplace?: ((run: string) => boolean | Promise<boolean>) | undefined;
  /** Where the machine's id is read. Default `/etc/machine-id`. */
  systemIdPath?: string | undefined;
  /** Requests for single objects under way at once. Default 16. */
  concurrency?: number | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface RebuiltCatalog {
  backup: string;
  /** The run that was read back. */
  run: string;
  /** Content objects that the catalog now knows, and bundles and the contents in them. */
  objects: number;
  bundles: number;
  members: number;
  /** Of objects and bundles: those whose lock the store did not tell, so that their next use extends it. */
  unknownLocks: number;
  /**
   * Objects and bundles that the manifest names and the catalog does not know: not in the store any more, or other
   * than they must be. What the machine still has of them is stored anew by the next run.
   */
  missing: number;
  refused: number;
}
