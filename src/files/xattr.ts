import type { BytePath } from './byte-path.js';
import { lastErrno, lgetxattr, llistxattr } from './native.js';

/** Extended attributes, as read. */
export interface Xattrs {
  /**
   * Name to base64 of the value. A name that is no valid UTF-8 has the key `"\0"` + base64 of its bytes (no
   * attribute's name holds a NUL). Absent where there are none.
   */
  xattr?: Record<string, string>;
  /** The two that hold POSIX ACLs, as the kernel gives them (see `decodeAcl`). */
  acl?: Buffer;
  defaultAcl?: Buffer;
  /** Attributes that are there but could not be read. */
  unreadable?: { name: string; errno: string }[];
}

export const ACL_XATTR = 'system.posix_acl_access';
export const DEFAULT_ACL_XATTR = 'system.posix_acl_default';

/**
 * Attributes that belong to the layer that made them and mean nothing, or are refused, in another place.
 * - `system.*` besides the POSIX ACLs are a file system's own interfaces (NFSv4 and CIFS ACLs, inline data).
 * - XFS shows root the stored form of POSIX ACLs a second time, as `trusted.SGI_ACL_*`.
 * - `security.evm` is a keyed hash over the inode number: the kernel makes a new one.
 * - Lustre's layout (`lustre.*`, `trusted.lov`) names objects on its servers.
 * All else is kept, `security.selinux`, `security.capability` and overlayfs's `trusted.overlay.*` too: without
 * them labels, rights or deleted files would come back wrong.
 */
const NOT_OURS = /^(?:system\.|trusted\.SGI_ACL_(?:FILE|DEFAULT)$|security\.evm$|lustre\.|trusted\.lov$)/;

/** Whether an attribute (name as text or latin-1) is stored and restored as such. The two ACLs are not. */
export function isPlainXattr(name: string): boolean {
  return !NOT_OURS.test(name);
}

const PATH_MAX = 4096;
/** Linux's limit for a list of names (XATTR_LIST_MAX) and for a value (XATTR_SIZE_MAX). */
export const XATTR_MAX = 65536;
/** Fits nearly every list and value, ACLs with 31 entries too. */
const USUAL = 256;

const NONE: Xattrs = Object.freeze({});
const pathBytes = Buffer.alloc(PATH_MAX + 1);
const small = Buffer.alloc(USUAL);

/**
 * Attributes of the file itself, links not followed. The errno's name where they cannot be listed. A file system
 * without extended attributes has none.
 *
 * Called for every file that is new or changed: where there is nothing, it costs one system call and no object.
 */
export function readXattrs(path: BytePath): Xattrs | string {
  if (path.length >= PATH_MAX) return 'ENAMETOOLONG';
  pathBytes[pathBytes.write(path, 0, 'latin1')] = 0;
  let list = small;
  let length = llistxattr(pathBytes, list, USUAL);
  if (length === 0) return NONE;
  if (length < 0) {
    const errno = lastErrno();
    if (errno === 'EOPNOTSUPP' || errno === 'ENOTSUP') return NONE;
    if (errno !== 'ERANGE') return errno;
    list = Buffer.alloc(XATTR_MAX);
    length = llistxattr(pathBytes, list, XATTR_MAX);
    if (length < 0) return lastErrno();
  }
  return readValues(namesIn(list, length));
}

/** Of the path in `pathBytes`. */
function readValues(names: readonly string[]): Xattrs {
  const found: Xattrs = {};
  for (const name of names) {
    const isAcl = name === ACL_XATTR || name === DEFAULT_ACL_XATTR;
    if (!isAcl && !isPlainXattr(name)) continue;
    const value = readValue(name);
    if (typeof value === 'string') {
      // Removed since it was listed.
      if (value === 'ENODATA') continue;
      found.unreadable ??= [];
      found.unreadable.push({ name: xattrKey(name), errno: value });
    } else if (name === ACL_XATTR) found.acl = value;
    else if (name === DEFAULT_ACL_XATTR) found.defaultAcl = value;
    else {
      // Without a prototype: FUSE lets an attribute be called `__proto__`.
      found.xattr ??= Object.create(null) as Record<string, string>;
      found.xattr[xattrKey(name)] = value.toString('base64');
    }
  }
  return found;
}

function readValue(name: string): Buffer | string {
  const nameBytes = Buffer.from(`${name}\0`, 'latin1');
  let out = small;
  let length = lgetxattr(pathBytes, nameBytes, out, USUAL);
  if (length < 0) {
    const errno = lastErrno();
    if (errno !== 'ERANGE') return errno;
    out = Buffer.alloc(XATTR_MAX);
    length = lgetxattr(pathBytes, nameBytes, out, XATTR_MAX);
    if (length < 0) return lastErrno();
  }
  return Buffer.from(out.subarray(0, length));
}

/** The names in what a `listxattr` call wrote, as latin-1, in byte order. */
export function namesIn(list: Buffer, length: number): string[] {
  // The last name ends in NUL too, hence an empty piece at the end.
  return list.toString('latin1', 0, length).split('\0').slice(0, -1).sort();
}

/** The key in a manifest of an attribute whose name is these bytes (latin-1). */
export function xattrKey(name: string): string {
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `\0${bytes.toString('base64')}`;
}

/** The name (latin-1 bytes) that a key in a manifest stands for; undefined where no attribute can be called so. */
export function xattrNameOfKey(key: string): string | undefined {
  const bytes = key.startsWith('\0') ? Buffer.from(key.slice(1), 'base64') : Buffer.from(key, 'utf8');
  if (bytes.length === 0 || bytes.length > 255 || bytes.includes(0)) return undefined;
  return bytes.toString('latin1');
}
