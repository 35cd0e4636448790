import { closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { messageOf, SysbackupError } from '../errors.js';
import { lastErrno } from './native.js';

const flock: (fd: number, operation: number) => number = koffi
  .load(null)
  .func('int flock(int fd, int operation)');

/** flock(2), the same numbers on every Linux architecture. */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** EWOULDBLOCK and EAGAIN are one number on Linux; which name it has is the library's choice. */
const HELD = new Set(['EWOULDBLOCK', 'EAGAIN']);
/** Where the file system has no locks nobody can hold one, and nothing is missed by not having one. */
const NO_LOCKS_THERE = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL']);

/** `held`: someone holds the exclusive lock. `refused`: it cannot be had for another reason, and nobody knows. */
export type SharedLock = 'locked' | 'held' | 'refused';

/**
 * Asks once for the shared advisory lock of an open file; closing the descriptor gives it back. It is refused by a file
 * server without its lock service. Locks made with fcntl(2) are another kind and neither seen nor waited for.
 */
export function tryLockShared(fd: number): SharedLock {
  if (flock(fd, LOCK_SH | LOCK_NB) === 0) return 'locked';
  const errno = lastErrno();
  if (NO_LOCKS_THERE.has(errno)) return 'locked';
  return HELD.has(errno) ? 'held' : 'refused';
}

/** A lock of a whole file that ends with {@link release} or with the process, however that ends. */
export interface FileLock {
  release(): void;
}

/**
 * Takes the exclusive advisory lock of the file `path` (created with mode 0600 where it is not there, its content
 * left alone). Undefined where another process, or another call in this one, holds it. The file stays when the
 * lock is released: removing it would let two processes lock two files of one name.
 *
 * Throws SYSTEM where the file cannot be opened or its file system has no locks.
 */
export function tryLockFile(path: string): FileLock | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw new SysbackupError('SYSTEM', `cannot open the lock file ${path}: ${messageOf(error)}`, {
      hint: 'Check that its folder exists, and that the user running this may write there.',
      cause: error,
    });
  }
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return lockOf(fd);
  const errno = lastErrno();
  closeSync(fd);
  if (HELD.has(errno)) return undefined;
  throw new SysbackupError('SYSTEM', `cannot lock ${path}: ${errno}`, {
    hint: 'Put the state directory on a file system that has locks.',
  });
}

function lockOf(fd: number): FileLock {
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      closeSync(fd);
    },
  };
}
