import type { Encoding } from '../config/compression.js';
import type { FileStat } from '../files/stat.js';

/** One block of content, ready to be stored. */
export interface EncodedBlock {
  /** SHA-256 of the unencoded bytes: 32 bytes. */
  sha: Uint8Array;
  /** Length of the unencoded bytes. */
  size: number;
  /**
   * What is stored. Undefined where this block equals the one before it in the same file. `md5` is of the stored
   * bytes, in hex; undefined where the pool was told that it is not wanted.
   */
  stored: { bytes: Uint8Array; md5: string | undefined; enc: Encoding | undefined } | undefined;
}

/** What is known after a file has been read. */
export interface FileReading {
  /** As it was at the start of the reading that counts. */
  stat: FileStat;
  /** SHA-256 of all bytes, 32 bytes. */
  sha: Uint8Array;
  /** Bytes read; may differ from `stat.size` where the file changed. */
  size: number;
  /** The lock was not to be had within the time. */
  unlocked: boolean;
  /** It changed in the first reading and in the second. */
  changed: boolean;
  /** Machine's clock at the start of that reading, in nanoseconds since the epoch. */
  startedNs: bigint;
}

export interface ReadHandlers {
  /**
   * Called for each block in order. The reader goes on while a few of the returned promises are pending; memory
   * is bounded by that, and what the block stores is valid until its promise is fulfilled (or this returns without
   * one): then that memory is used for something else. A rejection ends the reading with that error.
   */
  block(block: EncodedBlock): Promise<void> | undefined;
  /** The file changed: what came so far is void, and the blocks come again from the first. */
  restart(): void;
}
