import type { Encoding } from '../config/compression.js';
import type { BytePath } from '../files/byte-path.js';
import type { Compression } from './encode.js';

/** What all readings of a pool have in common; a reader thread is started with it. */
export interface ReaderSettings extends Compression {
  blockSize: number;
  lockTimeoutMs: number;
  /** Bytes; of what is stored of a smaller file no MD5 is made. */
  md5From: number;
}

export interface ReadJob {
  id: number;
  path: BytePath;
  expectedInode: string | undefined;
}

export type ToReader =
  | { kind: 'jobs'; jobs: ReadJob[] }
  /** One block of a long file has been dealt with. */
  | { kind: 'done'; id: number }
  /** Nobody wants the rest of this file. */
  | { kind: 'drop'; id: number };

/**
 * What became of several jobs, in order. Short byte strings of all records stand in one buffer, from the record's
 * `at`, since a transferred buffer costs more than a small file's bytes.
 */
export interface FromReader {
  bytes: Uint8Array;
  records: ReaderRecord[];
}

export type ReaderRecord = BlockRecord | EndRecord | RestartRecord | FailureRecord;

/** At `at`: SHA-256, then the stored bytes unless they are too many and come as `own`. */
export interface BlockRecord {
  kind: 'block';
  id: number;
  at: number;
  size: number;
  long: boolean;
  stored:
    | { length: number; enc: Encoding | undefined; md5: string | undefined; own: Uint8Array | undefined }
    | undefined;
}

/** At `at`: the packed stat, then the SHA-256 of the whole. */
export interface EndRecord {
  kind: 'end';
  id: number;
  at: number;
  size: number;
  unlocked: boolean;
  changed: boolean;
  startedNs: bigint;
}

export interface RestartRecord {
  kind: 'restart';
  id: number;
}

export interface FailureRecord {
  kind: 'failure';
  id: number;
  code: string;
  reason: string;
}
