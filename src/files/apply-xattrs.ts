import type { InodeHandle } from './handle.js';
import {
  ACL_XATTR,
  DEFAULT_ACL_XATTR,
  isPlainXattr,
  namesIn,
  XATTR_MAX,
  xattrKey,
  xattrNameOfKey,
} from './xattr.js';

/** What a file's attributes shall be, when all is done. */
export interface WantedXattrs {
  /** As in a manifest (see `Xattrs`). */
  xattr?: Readonly<Record<string, string>>;
  /** Binary (see `encodeAcl`). */
  acl?: Uint8Array;
  defaultAcl?: Uint8Array;
}

export interface XattrFailure {
  what: 'acl' | 'xattr';
  /** The attribute, as in a manifest. */
  name: string;
  errno: string;
}

const USUAL = 256;
const small = Buffer.alloc(USUAL);

/**
 * Only what a file's owner or a backup can have put there is taken away. Labels (`security.selinux`, `.ima`, …)
 * that the machine gives to new files stay where the backup has none.
 */
const REMOVABLE = /^(?:user\.|trusted\.|security\.capability$)/;

/**
 * Sets attributes and ACLs and removes those that are there and should not be: a new file has the ACL that its
 * folder's default ACL gave it. Costs one call where there is nothing to do. Call it after the owner is set, which
 * takes `security.capability` away, and after the content is written, which does so too.
 */
export function applyXattrs(handle: InodeHandle, wanted: WantedXattrs): XattrFailure[] {
  const failures: XattrFailure[] = [];
  const settable = settableXattrs(wanted, failures);
  for (const name of listed(handle)) {
    if (settable.has(name)) continue;
    const isAcl = name === ACL_XATTR || name === DEFAULT_ACL_XATTR;
    if (!isAcl && !(REMOVABLE.test(name) && isPlainXattr(name))) continue;
    const errno = handle.removeXattr(terminated(name));
    if (errno !== undefined && errno !== 'ENODATA') failures.push(failure(name, errno));
  }
  for (const [name, value] of settable) {
    const errno = set(handle, name, value);
    if (errno !== undefined) failures.push(failure(name, errno));
  }
  return failures;
}

/** By name (latin-1). */
function settableXattrs(wanted: WantedXattrs, failures: XattrFailure[]): Map<string, Uint8Array> {
  const settable = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(wanted.xattr ?? {})) {
    const name = xattrNameOfKey(key);
    if (name === undefined || !isPlainXattr(name))
      failures.push({ what: 'xattr', name: key, errno: 'EINVAL' });
    else settable.set(name, Buffer.from(value, 'base64'));
  }
  if (wanted.acl) settable.set(ACL_XATTR, wanted.acl);
  if (wanted.defaultAcl) settable.set(DEFAULT_ACL_XATTR, wanted.defaultAcl);
  return settable;
}

/** Where they cannot be listed, there is nothing to remove either. */
function listed(handle: InodeHandle): string[] {
  let length = handle.listXattrs(small);
  if (length === 0) return [];
  let list = small;
  if (length === 'ERANGE') {
    list = Buffer.alloc(XATTR_MAX);
    length = handle.listXattrs(list);
  }
  return typeof length === 'string' ? [] : namesIn(list, length);
}

function set(handle: InodeHandle, name: string, value: Uint8Array): string | undefined {
  const errno = handle.setXattr(terminated(name), value);
  if (errno !== 'EACCES') return errno;
  // `user.*` asks for the right to write, which the owner of a read-only file may give. The mode is set later.
  const stat = handle.stat();
  if (typeof stat === 'string' || handle.chmod(stat.mode | 0o200) !== undefined) return errno;
  return handle.setXattr(terminated(name), value);
}

function terminated(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}

function failure(name: string, errno: string): XattrFailure {
  const isAcl = name === ACL_XATTR || name === DEFAULT_ACL_XATTR;
  return { what: isAcl ? 'acl' : 'xattr', name: xattrKey(name), errno };
}
