import type { EventListener } from '../events.js';

export interface ExpireOptions {
  /** Root of a directory store. */
  path: string;
  /**
   * Whether of each backup name the newest run that holds anything, and the newest that is not far smaller than the
   * largest, stay with all they name, however long ago their locks ended. Default true: a machine that has died, or a
   * clock that ran away, shall not cost the last backup.
   */
  keepNewest?: boolean;
  /**
   * Runs (`<backup name>/<run id>`) from which on a backup is smaller with good reason: those before them are no
   * measure for it any more, and go when their locks have ended.
   */
  accepted?: readonly string[] | undefined;
  /** Only count. Default false. */
  dryRun?: boolean;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

/** Why a run stays although its lock has ended. */
export type KeepReason =
  /** It is the newest of its backup name's runs that hold anything. */
  | 'newest'
  /** It is the newest of them that is not far smaller than the largest. */
  | 'last-good'
  /** It was received ahead of now, so that nobody knows how old it is. */
  | 'ahead';

/** A run that stays only for such a reason. */
export interface KeptRun {
  backup: string;
  run: string;
  reasons: KeepReason[];
  /** What to accept (`<backup name>/<run id>`) so that it goes; undefined where only `keepNewest: false` does that. */
  letGoBy: string | undefined;
}

export interface ExpireResult {
  /** Runs that stay, and runs whose manifests were removed. */
  runsKept: number;
  runsRemoved: number;
  /** Of those that stay the ones whose own lock has ended, in the order of their receipt. */
  keptRuns: KeptRun[];
  /** Object versions other than manifests. */
  kept: number;
  removed: number;
  /** Stored bytes that removing them made free. */
  bytes: number;
}
