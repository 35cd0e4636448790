import type { Settings } from '../config/settings.js';
import type { EventListener, RequestCounts, RunOutcome } from '../events.js';
import type { ObjectStore } from '../store/port.js';

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
  /** Bytes that one PUT takes: longer snapshots are stored as blocks. Default 5 GiB, the limit of S3. */
  putLimit?: number;
  /** Bytes of a bundle: it is stored when it has so many. Default a little under 32 MiB. */
  bundleBytes?: number;
  /** Worker threads that read and compress. Default: one per processor. 0: none. */
  workers?: number;
}

/** What a run came to. */
export interface RunSummary {
  backup: string;
  run: string;
  outcome: RunOutcome;
  /** The manifest; undefined after a dry run. */
  manifest: { key: string; version: string } | undefined;
  counts: { d: number; l: number; f: number; s: number; problems: number };
  /** Bytes of all files and snapshots named. */
  bytes: number;
  /** Files whose content was read (in a dry run: would be), and their bytes. */
  read: { files: number; bytes: number };
  /** Objects stored anew and their encoded bytes, without the manifest. */
  stored: { objects: number; bytes: number };
  /** Times a file's content was found stored already, and locks moved out. */
  reused: number;
  renewed: number;
  requests: RequestCounts;
  /** End of the locks this run promises, ISO 8601; undefined where the store has none. */
  lockedUntil: string | undefined;
  /** Seconds the run took, and of it the phases. */
  seconds: number;
  phases: Partial<Record<'prepare' | 'pick' | 'content' | 'snapshots' | 'manifest', number>>;
}
