import { createHash, hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import type { BytePath } from '../files/byte-path.js';
import { type FileStat, PACKED_STAT_SIZE } from '../files/stat.js';
import { type Compression, encode } from './encode.js';
import { nextData } from './holes.js';
import { openForReading, statOfRegular, type WaitStep } from './open-file.js';
import { readFailureOf } from './read-failure.js';
import type { Scratch } from './scratch.js';
import type { EncodedBlock, FileReading, HashedBlock } from './types.js';

/** What the reading of a file asks of its driver, or hands it, between two pieces of synchronous work. */
export type ReadStep =
  | WaitStep
  /** All of a file that is one block. `block.stored.bytes` is valid until the next step. */
  | { kind: 'block'; block: EncodedBlock }
  /** Memory for the next block of a longer file is wanted: to be given with the next step. */
  | { kind: 'memory' }
  /**
   * So many bytes of the memory given last are the next block. Of a hole `sha` is known, and nothing was written there:
   * it stands for zeros.
   */
  | { kind: 'piece'; size: number; sha: Uint8Array | undefined }
  /** The blocks handed out so far are void. */
  | { kind: 'restart' };

export interface ReadOptions extends Compression {
  blockSize: number;
  /** 0: the lock is asked for once. */
  lockTimeoutMs: number;
  /** {@link FileStat.inodeId} of the file that is meant. */
  expectedInode?: string | undefined;
  /** Bytes; of what is stored of a smaller file no MD5 is made. Default 0: of all it is. */
  md5From?: number;
  /** Shared by all readings of one thread. */
  scratch: Scratch;
  /** Called after each piece read, so that a test can change the file at a known moment. */
  afterRead?: () => void;
}

/** What one pass over the file brought. */
interface Pass {
  sha: Uint8Array;
  size: number;
  /** Of a file of one block: not handed out until the file is known to be settled. */
  only?: HashedBlock;
}

/**
 * Reads one file, block by block, with synchronous calls; between blocks and while waiting for the lock it yields.
 * A file that changes meanwhile is read once more; then the copy is kept and `changed` says so. What is read is the
 * file up to the length it had at the start: a log that grows faster than it is read comes to an end.
 *
 * An empty file has no block. Throws {@link ReadFailure}. Ending the generator early closes the file.
 */
export function* readFile(
  path: BytePath,
  options: ReadOptions,
): Generator<ReadStep, FileReading, Uint8Array | undefined> {
  let fd: number | undefined;
  try {
    const opened = yield* openForReading(path, options.lockTimeoutMs, options.expectedInode);
    fd = opened.fd;
    for (let attempt = 1; ; attempt++) {
      const lastAttempt = attempt === 2;
      const startedNs = BigInt(Date.now()) * 1_000_000n;
      const stat = statOfRegular(fd, path);
      const settled = () => sameContent(stat, statOfRegular(opened.fd, path));
      const long = stat.size > options.blockSize;
      const pass = long
        ? yield* readBlocks(fd, stat.size, options, () => lastAttempt || settled())
        : readWhole(fd, stat.size, options);
      const changed = pass.size !== stat.size || !settled();
      if (changed && !lastAttempt) {
        if (long) yield { kind: 'restart' };
        continue;
      }
      if (pass.only) yield { kind: 'block', block: stored(pass.only, options) };
      const { sha, size } = pass;
      return { stat, sha, size, unlocked: opened.unlocked, changed, startedNs };
    }
  } catch (error) {
    throw readFailureOf(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** All of a packed stat but the count of links, with which it begins. */
function sameContent(before: FileStat, after: FileStat): boolean {
  return before.bytes.compare(after.bytes, 4, PACKED_STAT_SIZE, 4, PACKED_STAT_SIZE) === 0;
}

/** A file of at most one block, left in the scratch buffer. */
function readWhole(fd: number, size: number, options: ReadOptions): Pass {
  // Files that the kernel makes up (/proc) have no size until they are read.
  const buffer = options.scratch.bytes(size === 0 ? options.blockSize : size);
  const bytes = readFully(fd, 0, buffer, options);
  const sha = hash('sha256', bytes, 'buffer');
  if (bytes.length === 0) return { sha, size: 0 };
  return { sha, size: bytes.length, only: { sha, size: bytes.length } };
}

/** The block just read by {@link readWhole}, encoded: once, after the file is known to be settled. */
function stored(block: HashedBlock, options: ReadOptions): EncodedBlock {
  const withMd5 = block.size >= (options.md5From ?? 0);
  return { ...block, stored: encode(options.scratch.bytes(block.size), options, withMd5) };
}

/** A long file, block by block, for as long as `goOn` says so and there is something to read. */
function* readBlocks(
  fd: number,
  size: number,
  options: ReadOptions,
  goOn: () => boolean,
): Generator<ReadStep, Pass, Uint8Array | undefined> {
  const { blockSize } = options;
  const whole = createHash('sha256');
  let data = 0;
  let at = 0;
  while (at < size && (at === 0 || goOn())) {
    const memory = yield { kind: 'memory' };
    if (memory === undefined) throw new Error('no memory was given for a block');
    const length = Math.min(blockSize, size - at);
    if (data <= at) data = nextData(fd, at);
    if (data >= at + length) {
      updateWithZeros(whole, length);
      yield { kind: 'piece', size: length, sha: shaOfZeros(length) };
      at += length;
      continue;
    }
    const bytes = readFully(fd, at, memory.subarray(0, length), options);
    if (bytes.length === 0) break;
    // The same bytes as the block's, not read twice: a file that changes must not get a hash that fits no block.
    whole.update(bytes);
    yield { kind: 'piece', size: bytes.length, sha: undefined };
    at += bytes.length;
    if (bytes.length < length) break;
  }
  return { sha: whole.digest(), size: at };
}

/** What there is from `at` on, up to the buffer's length; less where the file ends. */
function readFully(fd: number, at: number, buffer: Uint8Array, options: ReadOptions): Uint8Array {
  let got = 0;
  while (got < buffer.length) {
    const n = readSync(fd, buffer, got, buffer.length - got, at + got);
    if (n === 0) break;
    got += n;
    options.afterRead?.();
  }
  return buffer.subarray(0, got);
}

const ZEROS = Buffer.alloc(256 * 1024);

function updateWithZeros(into: { update(bytes: Uint8Array): unknown }, length: number): void {
  for (let left = length; left > 0; left -= ZEROS.length)
    into.update(left >= ZEROS.length ? ZEROS : ZEROS.subarray(0, left));
}

let lastZeros: { length: number; sha: Buffer } | undefined;

/** Remembers the last answer: all but the last block of a file have one length. */
function shaOfZeros(length: number): Buffer {
  if (lastZeros?.length !== length) {
    const sha = createHash('sha256');
    updateWithZeros(sha, length);
    lastZeros = { length, sha: sha.digest() };
  }
  return lastZeros.sha;
}
