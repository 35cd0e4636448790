import { closeSync, constants, openSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { type BytePath, pathForFs } from '../files/byte-path.js';
import { type SharedLock, tryLockShared } from '../files/flock.js';
import { type FileStat, fstat } from '../files/stat.js';
import { ReadFailure } from './read-failure.js';

/** A request to be continued after that many milliseconds. */
export interface WaitStep {
  kind: 'wait';
  ms: number;
}

/** O_NOFOLLOW: the path was no symlink when it was picked. O_NONBLOCK: a FIFO put there instead must not hang. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;

/**
 * Opens a regular file for reading, without touching its atime where that is permitted. Throws what openSync throws,
 * or ReadFailure.
 */
export function* openForReading(
  path: BytePath,
  timeoutMs: number,
  expectedInode: string | undefined,
): Generator<WaitStep, { fd: number; stat: FileStat }, unknown> {
  const fd = yield* openPatiently(path, timeoutMs);
  try {
    const stat = statOfRegular(fd, path);
    if (expectedInode !== undefined && stat.inodeId !== expectedInode)
      throw new ReadFailure(path, 'REPLACED', 'another file has taken its place since it was looked at');
    return { fd, stat };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Takes the shared advisory lock, for which it waits at most so long. */
export function* lockForReading(fd: number, timeoutMs: number): Generator<WaitStep, SharedLock, unknown> {
  let lock: SharedLock = 'refused';
  yield* poll(timeoutMs, () => (lock = tryLockShared(fd)) === 'locked' || undefined);
  return lock;
}

/** fstat that insists on a regular file. */
export function statOfRegular(fd: number, path: BytePath): FileStat {
  const stat = fstat(fd);
  if (typeof stat === 'string') throw new ReadFailure(path, stat, `${stat} from statx`);
  if (stat.kind !== 'file')
    throw new ReadFailure(path, 'NOT_REGULAR', `it is no regular file but of kind ${stat.kind}`);
  return stat;
}

/** With O_NONBLOCK a file under a lease (a file server's oplock) says EAGAIN until its holder gives it up. */
function* openPatiently(path: BytePath, timeoutMs: number): Generator<WaitStep, number, unknown> {
  let refusal: unknown;
  const fd = yield* poll(timeoutMs, () => {
    try {
      return openQuietly(path);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      refusal = error;
      return undefined;
    }
  });
  if (fd === undefined) throw refusal;
  return fd;
}

/** open(2): O_NOATIME is for the owner and for CAP_FOWNER, and EPERM says that one is neither. */
function openQuietly(path: BytePath): number {
  const name = pathForFs(path);
  try {
    return openSync(name, FLAGS | constants.O_NOATIME);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    return openSync(name, FLAGS);
  }
}

/** Asks until there is an answer or the time is over; undefined then. A time of 0 means asking once. */
function* poll<T>(timeoutMs: number, ask: () => T | undefined): Generator<WaitStep, T | undefined, unknown> {
  let answer = ask();
  if (answer !== undefined || timeoutMs <= 0) return answer;
  const deadline = performance.now() + timeoutMs;
  for (let pause = FIRST_PAUSE_MS; answer === undefined; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    const left = deadline - performance.now();
    if (left <= 0) return undefined;
    yield { kind: 'wait', ms: Math.min(pause, left) };
    answer = ask();
  }
  return answer;
}
