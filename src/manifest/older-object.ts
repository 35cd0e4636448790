import type { Encoding } from '../config/compression.js';
import { SysbackupError } from '../errors.js';
import type { ObjectStore, VersionHead } from '../store/port.js';
import { versionName } from './keys.js';

/** How the object that an entry of the older format names is encoded, and what else its head says. */
export async function headOfOlder(
  store: Pick<ObjectStore, 'head'>,
  { key, ver }: { key: string; ver: string },
): Promise<VersionHead & { enc: Encoding | undefined }> {
  const head = await store.head(key, ver);
  const enc = head.metadata['storage-encoding'];
  if (enc === undefined || enc === 'gzip' || enc === 'zstd') return { ...head, enc };
  throw new SysbackupError(
    'DAMAGED',
    `${versionName(key, ver)} has the storage-encoding "${enc.slice(0, 80)}", which is none`,
  );
}
