import type { Settings } from '../config/settings.js';
import { LONGEST_SEGMENT } from '../store/directory-layout.js';

/** What a file system gives a name, and so what a restored snapshot's file can be called. */
const LONGEST_FILE_NAME = 255;
/** What S3 gives a key, and a reader of the manifest too. */
const LONGEST_KEY = 1024;

/**
 * Why a snapshotter of this name can have no snapshot under this key; undefined where it can. A name of a file may have
 * 255 bytes, and each of them that is no letter or digit takes three in a key.
 */
export function whyNameIsUnfit(
  name: string,
  key: string,
  destination: Settings['destination'],
): string | undefined {
  const nameBytes = Buffer.byteLength(name);
  if (nameBytes > LONGEST_FILE_NAME)
    return `its name is ${nameBytes} bytes long as it is shown, and a snapshot that is restored to a file can have ${LONGEST_FILE_NAME}`;
  if (destination.kind === 'directory') {
    const segment = Buffer.byteLength(key.slice(key.lastIndexOf('/') + 1));
    if (segment > LONGEST_SEGMENT)
      return `its file in the directory would have a name of ${segment} bytes, and there is room for ${LONGEST_SEGMENT}`;
  }
  const prefix = destination.kind === 's3' ? destination.s3.prefix : '';
  const keyBytes = Buffer.byteLength(prefix + key);
  return keyBytes > LONGEST_KEY
    ? `its key would have ${keyBytes} bytes, and S3 takes ${LONGEST_KEY}`
    : undefined;
}
