import type { Encoding } from '../config/compression.js';
import type { BytePath } from '../files/byte-path.js';
import type { Compression } from './encode.js';
import type { EncodedBlock } from './types.js';

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
  /** Shared memory for a block of this long file. */
  | { kind: 'memory'; id: number; memory: BlockMemory }
  /** The SHA-256 of a block is wanted, whoever has read it. Answered by `hashed`. */
  | { kind: 'hash'; bytes: Uint8Array }
  /** What to store of a block is wanted. `zeros`: that is what the block is, though they do not stand there yet. */
  | { kind: 'encode'; bytes: Uint8Array; zeros: boolean }
  /** Nobody wants the rest of this file. */
  | { kind: 'drop'; id: number };

/** One block long, and shared by all threads: who reads a block need not be who hashes or encodes it. */
export interface BlockMemory {
  slot: number;
  bytes: Uint8Array;
}

export type FromReader =
  | JobRecords
  | { kind: 'hashed'; sha: Uint8Array }
  /** `stored.bytes` has a buffer of its own. */
  | { kind: 'encoded'; stored: EncodedBlock['stored'] }
  /** A block could not be hashed or encoded. */
  | { kind: 'block-failed'; code: string; reason: string };

/**
 * What became of several jobs, in order. Short byte strings of all records stand in one buffer, from the record's
 * `at`, since a transferred buffer costs more than a small file's bytes.
 */
export interface JobRecords {
  kind: 'records';
  bytes: Uint8Array;
  records: ReaderRecord[];
}

export type ReaderRecord =
  | BlockRecord
  | MemoryRecord
  | PieceRecord
  | EndRecord
  | RestartRecord
  | FailureRecord;

/** All of a short file. At `at`: SHA-256, then the stored bytes unless they are too many and come as `own`. */
export interface BlockRecord {
  kind: 'block';
  id: number;
  at: number;
  size: number;
  stored: { length: number; enc: Encoding | undefined; md5: string | undefined; own: Uint8Array | undefined };
}

/** Memory is wanted for so many blocks of a long file; after that one more for each piece. */
export interface MemoryRecord {
  kind: 'memory';
  id: number;
  blocks: number;
}

/** The next block of a long file stands at the beginning of this memory, or is a hole of that SHA-256. */
export interface PieceRecord {
  kind: 'piece';
  id: number;
  slot: number;
  size: number;
  sha: Uint8Array | undefined;
}

/** At `at`: the packed stat, then the SHA-256 of the whole. */
export interface EndRecord {
  kind: 'end';
  id: number;
  at: number;
  size: number;
  unlocked: boolean;
  changed: boolean;
  lasting: boolean;
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
