import type { Encoding } from '../config/compression.js';
import type { FileStat } from '../files/stat.js';

/** One block of content as it was read. */
export interface HashedBlock {
  /** SHA-256 of the unencoded bytes: 32 bytes. */
  sha: Uint8Array;
  /** Length of the unencoded bytes. */
  size: number;
}

/** One block of content, ready to be stored. */
export interface EncodedBlock extends HashedBlock {
  /** What is stored. `md5` is of these bytes, in hex; undefined where the pool was told that it is not wanted. */
  stored: { bytes: Uint8Array; md5: string | undefined; enc: Encoding | undefined };
}

/** What is known after a file has been read. */
export interface FileReading {
  /** As it was at the start of the reading that counts. */
  stat: FileStat;
  /** SHA-256 of all bytes, 32 bytes. */
  sha: Uint8Array;
  /** Bytes read; may differ from `stat.size` where the file changed, or its file system does not know. */
  size: number;
  /** The lock was not to be had within the time. */
  unlocked: boolean;
  /** It changed in the first reading and in the second. */
  changed: boolean;
  /**
   * As long as the file has this stat, and its times were past, it has this content, and it need not be read again. Not
   * where it changed, another program held its lock, or it has another length than its stat says, as what the kernel
   * makes up when it is read.
   */
  lasting: boolean;
  /** Machine's clock at the start of that reading, in nanoseconds since the epoch. */
  startedNs: bigint;
}

export interface ReadHandlers {
  /**
   * Asked of each block of a file that has several, in about their order, before it is encoded: true means that this
   * is not needed, and {@link block} does not get it. Default: all are. A rejection ends the reading with that error.
   *
   * @param index which block of the file it is, from 0
   */
  known?(block: HashedBlock, index: number): boolean | Promise<boolean>;
  /**
   * Gets each block that is not known, those of one file in about their order. Reading goes on while a few of the
   * returned promises are pending; memory is bounded by that, and what the block stores is valid until its promise is
   * fulfilled (or this returns without one): then that memory is used for something else. A rejection ends the
   * reading with that error.
   */
  block(block: EncodedBlock, index: number): Promise<void> | undefined;
  /** The file changed: what came so far is void, and the blocks come again from the first. */
  restart(): void;
}
