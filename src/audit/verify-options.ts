import type { EventListener, RunOutcome } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import type { StoredRun } from '../manifest/runs.js';
import type { ObjectStore, Retention, RetentionMode } from '../store/port.js';
import type { Mended } from './mender.js';

export interface VerifyOptions {
  /** Rights: list versions, GetObjectRetention, and GetObjectVersion on `manifests/` (on all with `readData`). */
  store: Pick<ObjectStore, 'list' | 'get' | 'head' | 'getRetention' | 'now' | 'description'>;
  /** This run only, whatever its outcome and however old. */
  run?: StoredRun | undefined;
  /** All runs of this backup name that are not broken. Without `run` and `backup`: those of all names. */
  backup?: string | undefined;
  /** Share of the versions whose lock is asked for, in percent. Default 100. */
  sample?: number | undefined;
  /** Share of the versions that are read and hashed, in percent. Default 0. */
  readData?: number | undefined;
  /**
   * Which share `sample` and `readData` take: a whole number from 0 on. The same number takes the same versions, and
   * consecutive numbers take shares that lie side by side, so that 100 / percent of them take all. Default 0.
   */
  seed?: number | undefined;
  /** Folder for temporary files: one manifest at a time. */
  spoolFolder: string;
  /**
   * Mends a directory store: the data of a version whose bytes, read once more, are not those that were stored is moved
   * to `set-aside/`, and what is missing is noted there, so that the next run of each machine stores it again. Where all
   * runs are verified, the sidecars of versions that have none which can be read are written again, with the longest
   * lock that a run promises.
   */
  setAside?: SetAsideOptions | undefined;
  /** Locks asked for at a time. Default 16. */
  concurrency?: number | undefined;
  /** Objects read at a time. Default 8. */
  readsAtOnce?: number | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface SetAsideOptions {
  /** The directory. */
  path: string;
  /** Whether the manifest of `run` is set aside too where it is not whole: for a run that a person has named. */
  manifest: boolean;
}

export type FindingKind =
  /** The manifest cannot be read, or what it says cannot be right. */
  | 'manifest'
  /** The version does not exist. */
  | 'missing'
  /** In a directory: its data is there, but its sidecar is missing or cannot be read, so that its lock is not known. */
  | 'hidden'
  /** Its bytes are not those that were stored. */
  | 'damaged'
  /** The store failed to answer for this version, several times. */
  | 'unreadable'
  /** Its lock ends before what the run promises, or is of a weaker mode. */
  | 'short';

/** Something that is not as it should be with one object version. */
export interface Finding {
  kind: FindingKind;
  key: string;
  version: string;
  /** One sentence. */
  message: string;
  /** What was done about it (see `setAside`). */
  done?: string | undefined;
  /** The lock it has, where it was asked for. */
  lock?: Retention | undefined;
  /**
   * What depends on it, run by run in path order (a snapshot by its name): all, unless those of all findings are more
   * than 200,000. And how many there are.
   */
  paths: { backup: string; run: string; path: BytePath }[];
  pathCount: number;
}

/** A run, as far as it was looked at. */
export interface VerifiedRun {
  backup: string;
  run: string;
  outcome: RunOutcome;
  key: string;
  version: string;
  /**
   * `lapsed`: what it promised is over, so that what it names may be gone; its objects were looked at only where the
   * run was asked for by itself. `damaged`: its manifest cannot be used.
   */
  state: 'checked' | 'lapsed' | 'damaged';
  entries: number;
  /** What its objects must be locked until, in seconds since the epoch, and how; undefined: it promises no lock. */
  promise: { until: number; mode: RetentionMode } | undefined;
}

/** The lock that ends first of those asked for in one backup; `until` 0 where a version has none. */
export interface ShortestLock {
  backup: string;
  /** Seconds since the epoch. */
  until: number;
  key: string;
  version: string;
}

export interface VerifyResult {
  /** In the order of their receipt. */
  runs: VerifiedRun[];
  /** Distinct object versions that the checked runs name, and how many of them were looked at how. */
  versions: number;
  checked: { existence: number; locks: number; data: number; bytes: number };
  shortest: ShortestLock[];
  /** What `setAside` did. */
  mended: Mended;
  /** How many findings there are of each kind. */
  counts: Record<FindingKind, number>;
  /** The first thousand. */
  findings: Finding[];
}
