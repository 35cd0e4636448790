import { createHash, hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import type { BytePath } from '../files/byte-path.js';
import { hasMadeUpContents } from '../files/made-up-contents.js';
import type { SharedLock } from '../files/flock.js';
import { isSameFile } from '../files/stat.js';
import { type Compression, encode } from './encode.js';
import { nextData } from './holes.js';
import { lockForReading, openForReading, statOfRegular, type WaitStep } from './open-file.js';
import { ReadFailure, readFailureOf } from './read-failure.js';
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
  /** Blocks were handed out. */
  handedOut?: boolean;
  /** There is more of it than it states, or than one block where it states none. */
  more?: boolean;
}

const NOTHING: Pass = { sha: createHash('sha256').digest(), size: 0 };
/** What a file that states no size is looked at for at first: most have none. */
const FIRST_LOOK = 64 * 1024;

/**
 * Reads one file, block by block, with synchronous calls; between blocks and while waiting for the lock it yields.
 * A file that changes meanwhile is read once more; then the copy is kept and `changed` says so. What is read is the
 * file up to the length it had at the start: a log that grows faster than it is read comes to an end. One that states
 * a length of 0 may hold something all the same (/proc, some FUSE), and is read to its end, which must come within one
 * block.
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
    let last = opened.stat;
    let lock: SharedLock | undefined;
    for (let attempt = 1; ; attempt++) {
      const lastAttempt = attempt === 2;
      // Before the first look at its bytes.
      let startedNs = last.size === 0 ? nowNs() : 0n;
      // What holds nothing needs no lock: most empty files are other programs' locks, and held for years.
      if (lock === undefined && !(last.size === 0 && endsAt(fd, 0)))
        lock = yield* lockForReading(fd, options.lockTimeoutMs);
      if (lock !== undefined) startedNs = nowNs();
      const stat = statOfRegular(fd, path);
      const settled = () => isSameFile(stat, (last = statOfRegular(opened.fd, path)));
      const pass =
        lock === undefined
          ? NOTHING
          : stat.size > options.blockSize
            ? yield* readBlocks(fd, stat.size, options, () => lastAttempt || settled())
            : stat.size === 0
              ? yield* readUnstated(fd, options)
              : readWhole(fd, stat.size, options);
      const isSettled = settled();
      const isAsStated = pass.size === stat.size && !pass.more;
      const madeUp = (pass.size > 0 || !isAsStated) && hasMadeUpContents(fd, stat);
      const statedNothing = stat.size === 0 && last.size === 0;
      const changed = !isSettled || !(isAsStated || statedNothing || (madeUp && !pass.more));
      if (changed && !lastAttempt) {
        if (pass.handedOut) yield { kind: 'restart' };
        continue;
      }
      if (pass.more && statedNothing) throw tooLong(path, options.blockSize);
      if (pass.only) yield { kind: 'block', block: stored(pass.only, options) };
      const { sha, size } = pass;
      const unlocked = lock === 'held' || lock === 'refused';
      // Next time the lock may be free; where there is no asking, all of a file server would be read in every run.
      const lasting = !changed && lock !== 'held' && isAsStated && !madeUp;
      return { stat, sha, size, unlocked, changed, lasting, startedNs };
    }
  } catch (error) {
    throw readFailureOf(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function endsAt(fd: number, at: number): boolean {
  return readSync(fd, Buffer.alloc(1), 0, 1, at) === 0;
}

function tooLong(path: BytePath, blockSize: number): ReadFailure {
  return new ReadFailure(
    path,
    'UNSTATED_SIZE',
    `its file system says that it is empty, and more than a block of ${blockSize} bytes can be read of it`,
  );
}

/** A file of at most one block, left in the scratch buffer. */
function readWhole(fd: number, size: number, options: ReadOptions): Pass {
  // One more byte is asked for with the others: that costs nothing, and tells whether the stated size is the length.
  const bytes = readFully(fd, 0, options.scratch.bytes(size + 1), options, size);
  return bytes.length > size ? passOf(bytes.subarray(0, size), true) : passOf(bytes, false);
}

function passOf(bytes: Uint8Array, more: boolean): Pass {
  if (bytes.length === 0) return NOTHING;
  const sha = hash('sha256', bytes, 'buffer');
  const size = bytes.length;
  return { sha, size, only: { sha, size }, handedOut: false, more };
}

/** A file that states no size, to its end. What is longer than most are comes as blocks of long files do. */
function* readUnstated(fd: number, options: ReadOptions): Generator<ReadStep, Pass, Uint8Array | undefined> {
  const { blockSize, scratch } = options;
  const look = scratch.bytes(Math.min(FIRST_LOOK, blockSize));
  const first = readFully(fd, 0, look, options);
  if (first.length < look.length) return passOf(first, false);
  const memory = yield { kind: 'memory' };
  if (memory === undefined) throw new Error('no memory was given for a block');
  // From the beginning, since what is made up when it is read may have another length by now.
  const bytes = readFully(fd, 0, memory.subarray(0, blockSize), options);
  if (bytes.length === 0) return NOTHING;
  const more = bytes.length === blockSize && !endsAt(fd, blockSize);
  const sha = hash('sha256', bytes, 'buffer');
  yield { kind: 'piece', size: bytes.length, sha: undefined };
  return { sha, size: bytes.length, handedOut: true, more };
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
  return { sha: whole.digest(), size: at, handedOut: at > 0, more: at === size && !endsAt(fd, size) };
}

/** What there is from `at` on, up to the buffer's length; less where the file ends, or once there is `enough`. */
function readFully(
  fd: number,
  at: number,
  buffer: Uint8Array,
  options: ReadOptions,
  enough = buffer.length,
): Uint8Array {
  let got = 0;
  while (got < enough) {
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
