/**
 * What the library tells while it works. It never prints: a listener turns these into lines, bars or JSON.
 */

/** The kinds of requests a store takes, as they are counted and priced. */
export type RequestKind =
  | 'put'
  | 'get'
  | 'head'
  | 'list'
  | 'put-retention'
  | 'get-retention'
  | 'get-bucket-configuration'
  | 'thaw';

export type RequestCounts = Partial<Record<RequestKind, number>>;

/**
 * Something that went wrong with one path, picker or snapshotter. It never stops a run; it is a line in the
 * manifest. A `note` leaves the outcome as it is, a `failure` makes the run partial, and `broken` makes it
 * broken.
 */
export interface Problem {
  severity: 'note' | 'failure' | 'broken';
  /** A short fixed word, for programs: `unreadable`, `picker-failed`, … */
  code: string;
  message: string;
  /** The path concerned, as latin-1 decoded bytes (see files/byte-path.ts). */
  path?: string;
  /** The picker or snapshotter concerned. */
  source?: string;
}

export type RunOutcome = 'complete' | 'partial' | 'broken';

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

/** Parts of the work, in the order they begin. */
export type Phase =
  | 'prepare'
  | 'pick'
  | 'content'
  | 'snapshots'
  | 'renew'
  | 'manifest'
  | 'restore'
  | 'verify'
  | 'verify-locks'
  | 'verify-data'
  | 'rebuild';

export interface Progress {
  phase: Phase;
  /** Entries dealt with, and how many there are as far as known. */
  entries: number;
  entriesTotal?: number;
  /** Bytes of file content dealt with, and how many there are as far as known. */
  bytes: number;
  bytesTotal?: number;
}

export type SysbackupEvent =
  | { type: 'log'; level: LogLevel; message: string; source?: string }
  | { type: 'phase'; phase: Phase }
  | ({ type: 'progress' } & Progress)
  | { type: 'problem'; problem: Problem }
  /** The store was asked again: `attempt` counts from 1, `delayMs` is the pause before it. */
  | { type: 'retry'; request: RequestKind; key: string; attempt: number; delayMs: number; reason: string }
  /** An object version was stored, or its lock extended. `until` is in seconds since the epoch. */
  | { type: 'stored'; key: string; version: string; size: number; until: number }
  | { type: 'renewed'; key: string; version: string; until: number };

export type EventListener = (event: SysbackupEvent) => void;
