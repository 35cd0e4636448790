import type { Settings } from '../config/settings.js';
import type { EventListener, RequestCounts, RunOutcome } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import type { JudgedHistory } from '../manifest/run-history.js';
import type { FileWarning } from '../manifest/types.js';
import type { ObjectStore } from '../store/port.js';
import type { WhyMade } from './join.js';

/** What `archive` needs beside the settings. */
export interface ArchiveOptions {
  settings: Settings;
  store: ObjectStore;
  /** Requests sent so far, for footer and summary. Default: none are reported. */
  requests?: () => RequestCounts;
  /** Environment of pickers and snapshotters: at least PATH. */
  env: Readonly<Record<string, string>>;
  /** Effective user id that runs this. */
  uid: number;
  /** Name of the machine, for the manifest. */
  host: string;
  /** Program and version, for the manifest. */
  tool: string;
  /** Where the machine's id is read. Default `/etc/machine-id`. */
  systemIdPath?: string;
  onEvent?: EventListener;
  signal?: AbortSignal;
  /** Only look: nothing is read, stored or remembered. */
  dryRun?: boolean;
  /** Gets the paths that a dry run would store, batch by batch, in their order. It goes on when this resolves. */
  onPaths?: (paths: readonly PathToStore[]) => void | Promise<void>;
  /** Bytes that one PUT takes: longer snapshots are stored as blocks. Default 5 GiB, the limit of S3. */
  putLimit?: number;
  /**
   * Milliseconds for which a bucket's listing is asked for the manifest after its PUT, before the run fails. Default
   * 30,000.
   */
  manifestShownMs?: number;
  /** Bytes of a bundle: it is stored when it has so many. Default a little under 32 MiB. */
  bundleBytes?: number;
  /** Worker threads that read and compress. Default: one per processor. 0: none. */
  workers?: number;
}

/** A path that a run would store. */
export interface PathToStore {
  path: BytePath;
  kind: 'd' | 'l' | 'f';
  /**
   * `new`: the last run did not have it; `changed`: it is not as it was then, or that cannot be told yet; `again`: it is
   * as it was, but the store has lost something of it, or did not keep it locked.
   */
  change: WhyMade;
  /** Of a file. */
  bytes: number;
}

/**
 * What a run would store and send, told by a dry run. What a file holds is known only when it is read, so what might be
 * stored already counts as new: objects, bytes and `most` are upper limits, of a run in which nothing is refused.
 */
export interface RunEstimate {
  /** New objects, and their bytes before compression. Without snapshots and the manifest. */
  stored: { objects: number; bytes: number };
  /** How many of these objects are bundles (as good as they can be told), and the small files in them. */
  bundles: { objects: number; files: number };
  /** Snapshotters that would run. What they would write is not known; `lastBytes` is what the last run stored of them. */
  snapshots: { programs: number; lastBytes: number };
  /** `least` counts the requests that a run sends for certain. */
  requests: { least: RequestCounts; most: RequestCounts };
}

/**
 * What a run costs at Amazon's list prices ({@link S3_LIST_PRICES}), in US dollars. Of a dry run, at most.
 */
export interface RunPrice {
  /** Its requests. */
  requests: number;
  /** What it stored anew, without the manifest, for a month. */
  month: number;
  /** The store is Amazon's; elsewhere these are the prices there would be. */
  amazon: boolean;
}

/** What a run came to, and how long the backup has been without a complete run (a dry run is not counted). */
export interface RunSummary extends JudgedHistory {
  backup: string;
  run: string;
  outcome: RunOutcome;
  /** The manifest; undefined after a dry run. */
  manifest: { key: string; version: string } | undefined;
  /** Entries by kind. `notes` say nothing against the run; `problems` are all others. */
  counts: { d: number; l: number; f: number; s: number; problems: number; notes: number };
  /** Bytes of all files and snapshots named. */
  bytes: number;
  /** Files whose content was read (in a dry run: would be), and their bytes. */
  read: { files: number; bytes: number };
  /**
   * Copies that may not be what the file was at any one time, by reason; of a hard-linked file once per path. Each is a
   * note too. None in a dry run, which reads nothing.
   */
  warnings: Record<FileWarning, number>;
  /** Objects stored anew and their encoded bytes, without the manifest. */
  stored: { objects: number; bytes: number };
  /** Times a file's content was found stored already, and locks moved out. */
  reused: number;
  renewed: number;
  requests: RequestCounts;
  /** Undefined for a directory (but not in its dry run) and for a storage class without a list price. */
  price?: RunPrice;
  /** In a dry run. */
  estimate?: RunEstimate;
  /** End of the locks this run promises, ISO 8601; undefined where the store has none. */
  lockedUntil: string | undefined;
  /** Seconds the run took, and of it the phases. */
  seconds: number;
  phases: Partial<Record<'prepare' | 'pick' | 'content' | 'snapshots' | 'manifest', number>>;
}
