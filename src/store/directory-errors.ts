import { SysbackupError, errnoOf, messageOf } from '../errors.js';
import { StoreError } from './store-error.js';

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const NO_RIGHT = new Set(['EACCES', 'EPERM', 'EROFS']);
/** What a network file system says while its server is away or has moved on. */
const PASSING = new Set(['ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EINTR', 'EBUSY']);
/** Something stands where the key's path needs a directory or a file. */
const IN_THE_WAY = new Set(['ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP', 'ENOTEMPTY', 'EXDEV']);

/** Does file system work for a store, with errors that say what failed, where, and what to do. */
export async function asStoreErrors<T>(store: string, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeErrorOf(store, doing, error);
  }
}

function storeErrorOf(store: string, doing: string, error: unknown): SysbackupError {
  if (error instanceof SysbackupError) return error;
  const errno = errnoOf(error) ?? '';
  const message = `${doing} in ${store} failed: ${messageOf(error)}`;
  if (NO_ROOM.has(errno))
    return new StoreError('SYSTEM', `no room left ${doing} in ${store} (${errno})`, {
      cause: error,
      hint: 'Make room on its file system, or raise the quota; what was stored so far is kept and used again.',
    });
  if (NO_RIGHT.has(errno))
    return new StoreError('ACCESS_DENIED', message, {
      cause: error,
      hint: 'The user this runs as needs to read, and to store also to write, all directories of the store.',
    });
  if (IN_THE_WAY.has(errno))
    return new StoreError('STORE_FAILED', message, {
      cause: error,
      hint: 'Directories of a store must be real directories on one file system, not links, and not files.',
    });
  return new StoreError('STORE_FAILED', message, { cause: error, retryable: PASSING.has(errno) });
}
