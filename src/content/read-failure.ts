import { errnoOf, messageOf } from '../errors.js';
import { type BytePath, displayPath } from '../files/byte-path.js';

/**
 * Why one file could not be read: an errno's name (`EACCES`, `ENOENT`, `EIO`, `ELOOP` for a symlink), or
 * - `NOT_REGULAR`: what stands there now is no regular file;
 * - `UNSTATED_SIZE`: it says that it is empty, and more than one block can be read of it;
 * - `REPLACED`: another inode than the expected one stands there; asking again with a new lstat may succeed;
 * - `READER_CRASHED`: the thread that read it ended unexpectedly;
 * - `UNEXPECTED`: anything else.
 */
export type ReadFailureCode = string;

/** One file could not be read. It concerns that path only, and never stops a run. */
export class ReadFailure extends Error {
  override readonly name = 'ReadFailure';
  readonly code: ReadFailureCode;
  readonly path: BytePath;
  /** The message without the path. */
  readonly reason: string;

  constructor(path: BytePath, code: ReadFailureCode, reason: string) {
    super(`cannot read ${displayPath(path)}: ${reason}`);
    this.path = path;
    this.code = code;
    this.reason = reason;
  }
}

export function readFailureOf(error: unknown, path: BytePath): ReadFailure {
  if (error instanceof ReadFailure) return error;
  if (errnoOf(error) === 'EAGAIN' && (error as NodeJS.ErrnoException).syscall === 'read')
    return new ReadFailure(path, 'EAGAIN', 'EAGAIN: it has nothing to read now, and is not waited for');
  // Node's messages repeat the call and the path: "EACCES: permission denied, open '/a'".
  const reason = messageOf(error).replace(/, \w+(?: '.*)?$/, '');
  return new ReadFailure(path, errnoOf(error) ?? 'UNEXPECTED', reason);
}
