import type { EventListener } from '../events.js';
import type { RetentionClass } from '../manifest/types.js';
import type { HiddenRun } from '../manifest/hidden-runs.js';
import type { ObjectStore } from '../store/port.js';

export interface RenewOptions {
  /** Rights: list versions, GetObjectVersion on `manifests/`, GetObjectRetention, PutObjectRetention. */
  store: Pick<
    ObjectStore,
    'list' | 'get' | 'head' | 'getRetention' | 'extendRetention' | 'now' | 'description' | 'identity'
  >;
  /** Only this backup name. Default: all. */
  backup?: string | undefined;
  /** Runs received within so many days are renewed, each of them. Default 30. */
  days?: number | undefined;
  /** Days from now that what is renewed must be locked. Default 14. */
  daysRetained?: number | undefined;
  /** Days that the first good run of a week, month or year is kept. Default: no classes. */
  classes?: Readonly<Partial<Record<RetentionClass, number>>> | undefined;
  /**
   * Runs (`<backup name>/<run id>`) from which on a backup is smaller with good reason: those before them are no
   * measure for it any more, and are let go.
   */
  accepted?: readonly string[] | undefined;
  /** Folder for temporary files: one manifest at a time. */
  spoolFolder: string;
  /**
   * File that remembers from one call to the next what each manifest's objects are locked until, so that a manifest
   * is read, and its objects' locks asked for, only when some may be due. Losing it costs requests. Default: none.
   */
  memoryPath?: string | undefined;
  limits?: Partial<RenewLimits> | undefined;
  /** Requests for locks at a time. Default 16. */
  concurrency?: number | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

/** Bounds on the work of one call, since anybody with the right to back up can add to it. */
export interface RenewLimits {
  /** Bytes of a stored manifest; one that is larger is reported and not read. Default 1 GiB (about 10 million files). */
  manifestBytes: number;
  /** Entries of a manifest. Default 50 million. */
  entries: number;
  /** Runs of one machine that are looked at: the first received of the recent ones, and of the older ones. Default 2000. */
  runsPerMachine: number;
  /** Runs looked at in all, machines whose runs were first received first. Default 50,000. */
  runs: number;
}

/** Why a run is renewed. */
export type RenewReason =
  /** It was received within the last days. */
  | 'recent'
  /** It is the newest of its machine's runs that hold anything. */
  | 'newest'
  /** It is the newest of its machine's runs that is not far smaller than the largest. */
  | 'last-good'
  | RetentionClass;

export interface RenewedRun {
  backup: string;
  run: string;
  /** The part of the run id that comes from the machine. */
  machine: string;
  key: string;
  version: string;
  /** Milliseconds since the epoch. */
  received: number;
  reasons: RenewReason[];
  /**
   * `renewed`: all it names is locked long enough now; `current`: it was, as remembered; `incomplete`: not all of it
   * is; `damaged`: the manifest cannot be used; `unlocked`: it promises no lock.
   */
  state: 'renewed' | 'current' | 'incomplete' | 'damaged' | 'unlocked';
  /** Different contents of files and snapshots that it names and the store has. */
  weight: number;
  /** What all it names is locked until at least, in seconds since the epoch; 0 where not all of it is there. */
  until: number;
  /** Versions it names that do not exist, or that it has no business to name. */
  missing: number;
  /** Versions whose lock is too short and could not be extended. */
  refused: number;
  /** What is wrong, in one sentence. */
  problem: string | undefined;
}

/** What renewing came to for one machine under one backup name. */
export interface RenewedMachine {
  backup: string;
  machine: string;
  /** Run ids; undefined where no run of it holds anything. */
  lastGood: string | undefined;
  newest: string | undefined;
  /** The newest run is far smaller than the last good one, which is kept for that. */
  shrunk: boolean;
  /** Runs that were not looked at for the limits. */
  unread: number;
}

export interface RenewResult {
  machines: RenewedMachine[];
  /** Machine by machine, in the order of their receipt. */
  runs: RenewedRun[];
  /** Distinct versions whose locks were asked for, and locks that were extended. */
  asked: number;
  extended: number;
  /** Runs that are damaged or not wholly renewed, versions missing and refused in them, and runs not looked at. */
  counts: { damaged: number; incomplete: number; missing: number; refused: number; unread: number };
  /** In a directory: runs that are there without a readable sidecar, so that nothing of them could be renewed. */
  hidden: HiddenRun[];
}
