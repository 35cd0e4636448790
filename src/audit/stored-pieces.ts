import { addAbortSignal } from 'node:stream';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import type { ObjectStore } from '../store/port.js';
import { StoreError } from '../store/store-error.js';

/**
 * The stored bytes of a version, piece by piece. What the operating system says while they come (EIO of a failing
 * disk) is thrown as a failure of the store to give this version: it says nothing about what was stored.
 */
export async function* storedPieces(
  store: Pick<ObjectStore, 'get'>,
  key: string,
  version: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const stored = await store.get(key, version);
  if (signal !== undefined) addAbortSignal(signal, stored);
  try {
    for await (const piece of stored) yield piece as Buffer;
  } catch (error) {
    const errno = error instanceof SysbackupError ? undefined : errnoOf(error);
    if (errno === undefined || errno === 'ABORT_ERR') throw error;
    throw new StoreError('STORE_FAILED', `${versionName(key, version)} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
