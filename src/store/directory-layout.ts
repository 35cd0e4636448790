import { join } from 'node:path';
import { SysbackupError } from '../errors.js';

/**
 * Where the parts of a directory store lie.
 *
 * | path below the root            | what                                              |
 * | ------------------------------ | ------------------------------------------------- |
 * | `<key>`                        | data of the key's primary version                 |
 * | `<key>@<version>`              | data of a further version                         |
 * | `retention/<key>.json`         | sidecar of the primary version                    |
 * | `retention/<key>@<version>.json` | sidecar of a further version                    |
 * | `tmp/`                         | files being written                               |
 * | `s3-sysbackup-store.json`      | the marker, see directory-marker.ts               |
 * | `set-aside/<key>@<version>`    | damaged data of a version, moved out of its place |
 *
 * A version is the MD5 of the stored bytes, 32 hexadecimal digits. No key may end in `@` and 32 hexadecimal
 * digits, so a name is either a key or a key with a version, never both.
 */
export const RETENTION_FOLDER = 'retention';
export const TEMPORARY_FOLDER = 'tmp';
/** Says that the directory is a store, and which. */
export const MARKER_FILE = 's3-sysbackup-store.json';

export const SET_ASIDE_FOLDER = 'set-aside';

const RESERVED = new Set([RETENTION_FOLDER, TEMPORARY_FOLDER, SET_ASIDE_FOLDER, MARKER_FILE]);
const VERSION = /^[0-9a-f]{32}$/;
const VERSION_SUFFIX = /^(.*)@([0-9a-f]{32})$/s;
/** What a file system gives a name (255 bytes), less `@<version>.json`. */
export const LONGEST_SEGMENT = 255 - 38;

/** The two files of one version. */
export interface Slot {
  data: string;
  sidecar: string;
}

export function primarySlot(root: string, key: string): Slot {
  return { data: join(root, key), sidecar: join(root, RETENTION_FOLDER, `${key}.json`) };
}

export function furtherSlot(root: string, key: string, version: string): Slot {
  return primarySlot(root, `${key}@${version}`);
}

/** Whether a text could be a version of this store at all. Others are simply not there. */
export function isVersion(version: string): boolean {
  return VERSION.test(version);
}

/** The last segment of a key, and the version where the name of the data file carries one. */
export function parseDataName(name: string): { name: string; version: string | undefined } {
  const match = VERSION_SUFFIX.exec(name);
  const [, key, version] = match ?? [];
  return key === undefined || version === undefined ? { name, version: undefined } : { name: key, version };
}

/** Whether a first segment belongs to the store itself. */
export function isReserved(segment: string): boolean {
  return RESERVED.has(segment);
}

/** Throws `USAGE` where a key has no safe, unambiguous place below the root. */
export function checkKey(key: string): void {
  const reason = whyUnfit(key);
  if (reason !== undefined)
    throw new SysbackupError('USAGE', `${JSON.stringify(key)} cannot be a key in a directory: ${reason}`);
}

function whyUnfit(key: string): string | undefined {
  const segments = key.split('/');
  if (segments.includes('')) return 'a part of it is empty';
  if (segments.includes('.') || segments.includes('..')) return 'a part of it is . or ..';
  if (key.includes('\0')) return 'it contains a NUL';
  if (/\p{Surrogate}/u.test(key)) return 'it is no valid Unicode';
  if (VERSION_SUFFIX.test(key)) return 'it ends like a version';
  if (isReserved(segments[0] ?? '')) return `${segments[0]} belongs to the store itself`;
  if (segments.some((segment) => Buffer.byteLength(segment) > LONGEST_SEGMENT))
    return `a part of it is longer than ${LONGEST_SEGMENT} bytes`;
  return undefined;
}
