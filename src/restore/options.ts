import type { EventListener, Problem, RunOutcome } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import type { OwnerIds } from '../files/owners.js';
import type { FileWarning } from '../manifest/types.js';
import type { ObjectStore } from '../store/port.js';
import type { FrozenObjects } from './frozen.js';
import type { UnmatchedPattern } from './path-patterns.js';
import type { MetadataKind } from './metadata.js';

/** What becomes of a path that is there already. */
export type Overwrite =
  /** It is replaced. */
  | 'always'
  /** A regular file of the same size and modification time, or a symlink of the same target, gets what differs of its metadata. */
  | 'if-changed'
  /** It stays as it is. */
  | 'never';

export interface RestoreOptions {
  store: Pick<ObjectStore, 'get' | 'head' | 'list' | 'description' | 'localRoot'>;
  /** The run's manifest: see `resolveRun`. */
  run: { key: string; version: string };
  /**
   * Folder that everything goes below: `/a/b` comes back as `TARGET/a/b`. It is made where it is not there. It may
   * be a symlink, or lie behind some; below it none is followed.
   */
  target: string;
  /** What to restore, see `PathPattern`. Absent or empty: all. */
  include?: readonly string[] | undefined;
  /** What to leave out of that. */
  exclude?: readonly string[] | undefined;
  /** Default `if-changed`. */
  overwrite?: Overwrite | undefined;
  /**
   * With `if-changed`, read files that are there and have the right size: what counts is whether their content is
   * right, whatever their modification time. Default false.
   */
  checksum?: boolean | undefined;
  /** Say what would be done ({@link onPath}, the summary), and do nothing. Default false. */
  dryRun?: boolean | undefined;
  /** Objects fetched at a time. Default 8. */
  concurrency?: number | undefined;
  /**
   * Threads that unpack, check and write small files. Default: as many as the machine has processors, 4 at most, and
   * none for less than 500 paths. 0: the calling thread does all.
   */
  writers?: number | undefined;
  /**
   * Folder, best on a disk and not in memory, for temporary files: the manifest, and the folders' metadata until the
   * end; and for a note of what a restore that is interrupted leaves unfinished, which the next one into the same
   * target goes on from.
   */
  spoolFolder: string;
  /** Gets the objects that must be thawed before they can be read. */
  frozen?: FrozenObjects | undefined;
  /** Finds the ids of owners' names. Default: asks this machine. */
  owners?: OwnerIds | undefined;
  /** Take the recorded ids instead of what the names mean on this machine. Default false. */
  numericOwners?: boolean | undefined;
  onEvent?: EventListener | undefined;
  /**
   * Called for each selected path with what is done with it: before it is, or where only metadata of what is there may
   * have to be set, when that is done.
   */
  onPath?: ((action: PathAction) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface RestoreToTarOptions
  extends Pick<
    RestoreOptions,
    | 'store'
    | 'run'
    | 'include'
    | 'exclude'
    | 'dryRun'
    | 'concurrency'
    | 'spoolFolder'
    | 'frozen'
    | 'onEvent'
    | 'onPath'
    | 'signal'
  > {
  /** Takes bytes of the tar; resolves when it has no more need of them, and can take more. What it throws ends all. */
  write: (bytes: Uint8Array) => Promise<void>;
}

export interface PathAction {
  path: BytePath;
  kind: 'd' | 'l' | 'f';
  /** `keep`: nothing; `set-metadata`: only that; `link`: one more name of a file restored before. */
  does: 'create' | 'replace' | 'set-metadata' | 'keep' | 'link';
  /** Bytes of content to be written. */
  bytes: number;
  /** Requests for them. */
  requests: number;
}

export interface RestoreSummary {
  backup: string;
  run: string;
  /** The run's own. */
  outcome: RunOutcome;
  dryRun: boolean;
  /** Paths selected, by kind. */
  selected: { d: number; l: number; f: number };
  /** How many of them are copies that may not be what the file was at any one time, by reason. Each is a note too. */
  warnings: Record<FileWarning, number>;
  /** What was done with them (in a dry run: what would be). */
  done: Record<PathAction['does'], number>;
  /** Paths that were not restored. */
  failed: number;
  /** How many of those failed only because their content must be thawed first. */
  frozen: number;
  /** Bytes of content written. */
  bytes: number;
  /** Requests for content. */
  requests: number;
  /** How often each kind of metadata could not be set. */
  notSet: Partial<Record<MetadataKind, number>>;
  /** Patterns that matched no path of the run. */
  unmatched: UnmatchedPattern[];
  /** The first thousand; each was an event too. */
  problems: Problem[];
  /** How many there were, by severity. `failure` and `broken` mean that something is missing in the target. */
  problemCounts: Record<Problem['severity'], number>;
}
