import { SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';

/**
 * Whether a found version still is what was stored. In a bucket the ETag has shown that; in a directory on this machine the
 * data is read, since the good bytes are at hand now, and may not be the next time.
 */
export async function isIntact({ damage }: ObjectStore, key: string, version: string): Promise<boolean> {
  if (damage === undefined) return true;
  try {
    return await damage.isIntact(key, version);
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
