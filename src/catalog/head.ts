import type { RetentionClass } from '../manifest/types.js';

/** What a catalog says of itself and of the run that wrote it. */
export interface CatalogHead {
  format: 3;
  /** `ObjectStore.identity` and the backup name: what this memory is of. */
  store: string;
  backupName: string;
  machine: string;
  /** The run this catalog is of, and its manifest: the fence. */
  run: string;
  manifest: { key: string; version: string };
  /** Where the entries begin in this machine's copy of it. */
  entriesAt: number;
  /** End of the manifest's lock, seconds since the epoch. */
  manifestUntil: number;
  /** The run's number on this machine, for the rotating share of asking. */
  turn: number;
  /** Paths each picker printed. */
  pickers: Record<string, number>;
  /** Some of the paths that pickers printed and that were not there. */
  missing: string[];
  /** Bytes each snapshotter wrote. */
  snapshots: Record<string, number>;
  /** For each class the last period a run of this machine stands for: `2026-W47`, `2026-11`, `2026`. */
  classes: Partial<Record<RetentionClass, string>>;
  /** The names the entries were written with, by id. */
  users: Record<string, string | number>;
  groups: Record<string, string | number>;
  /** Whether the store was found to enforce locks. */
  objectLock: boolean;
  /** Bytes; smaller files go into bundles where the conf does not say. Absent: written before this was recorded. */
  bundleBelow?: number | undefined;
  /** An earlier manifest, whose lock will tell whether anybody renews. */
  watched?: WatchedManifest | undefined;
  /** Runs of the backup name so far, this one included (see `RunHistory`); absent in a catalog of before. */
  lastComplete?: string | null;
  sinceComplete?: number;
  firstRun?: string | null;
}

/** A manifest of this machine, and the lock that this machine gave it. Times in seconds since the epoch. */
export interface WatchedManifest {
  key: string;
  version: string;
  until: number;
  /** Start of its run. */
  since: number;
}

/** Whether a parsed value has the shape; a catalog of another format is as good as none. */
export function isCatalogHead(value: unknown): value is CatalogHead {
  if (typeof value !== 'object' || value === null) return false;
  const head = value as Record<string, unknown>;
  const manifest = head.manifest as Record<string, unknown> | null | undefined;
  return (
    head.format === 3 &&
    ['store', 'backupName', 'machine', 'run'].every((key) => typeof head[key] === 'string') &&
    typeof manifest?.key === 'string' &&
    typeof manifest.version === 'string' &&
    typeof head.entriesAt === 'number' &&
    typeof head.manifestUntil === 'number' &&
    typeof head.turn === 'number' &&
    ['pickers', 'snapshots', 'classes', 'users', 'groups'].every(
      (key) => typeof head[key] === 'object' && head[key] !== null,
    ) &&
    Array.isArray(head.missing) &&
    typeof head.objectLock === 'boolean' &&
    (head.bundleBelow === undefined || isSize(head.bundleBelow)) &&
    (head.watched === undefined || isWatched(head.watched))
  );
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isWatched(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { key, version, until, since } = value as Record<string, unknown>;
  return (
    [key, version].every((text) => typeof text === 'string') && [until, since].every(Number.isSafeInteger)
  );
}
