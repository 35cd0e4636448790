import type { BlockMemory } from './messages.js';
import type { PoolJob } from './pool-job.js';

/** What long files ask of a reader. */
export interface BlockReader {
  lend(job: PoolJob, memory: BlockMemory): void;
  /** Has it hash or encode a block, whoever has read it; one at a time. */
  workOn(task: BlockTask): void;
  /** What it worked on; it does no longer. */
  endWork(): BlockTask | undefined;
  /** Nobody wants the rest of this file. */
  drop(job: PoolJob): void;
}

/** A file of several blocks, from its reader's first wish for memory to its last word. */
export interface LongFile {
  job: PoolJob;
  /** Reads it, and hashes the whole. */
  reader: BlockReader;
  /** How often it has been begun again: blocks read before are void. */
  attempt: number;
  /** Blocks read in this attempt. */
  read: number;
  /** Blocks for which the reader wants memory. */
  wanted: number;
  /** Memory that the reader has for blocks to come. */
  lent: Map<number, BlockMemory>;
}

/** A block that was read, on its way to be known or encoded. */
export interface BlockTask {
  file: LongFile;
  attempt: number;
  index: number;
  size: number;
  memory: BlockMemory;
  /** Undefined until some reader has hashed it. */
  sha: Uint8Array | undefined;
  /** It is a hole: all zeros, whatever stands in its memory. */
  zeros: boolean;
  /** A reader crashed that worked on it. */
  crashed: boolean;
}
