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
  const found = listed(handle);
  for (const name of typeof found === 'string' ? [] : found) {
    if (settable.has(name) || !isToBeRemoved(name)) continue;
    const errno = handle.removeXattr(terminated(name));
    if (errno !== undefined && errno !== 'ENODATA') failures.push(failure(name, errno));
  }
  for (const [name, value] of settable) {
    const errno = set(handle, name, value);
    if (errno !== undefined) failures.push(failure(name, errno));
  }
  return failures;
}

/** An attribute (or an ACL) that {@link applyXattrs} would set or take away. */
export interface XattrDifference {
  what: XattrFailure['what'];
  /** Latin-1. */
  name: string;
}

/**
 * What {@link applyXattrs} would change. An errno where the attributes cannot be listed, as on a file system that has
 * none: then nothing can be set either.
 */
export function differentXattrs(handle: InodeHandle, wanted: WantedXattrs): XattrDifference[] | string {
  const settable = settableXattrs(wanted, []);
  const found = listed(handle);
  if (typeof found === 'string') return settable.size === 0 ? [] : found;
  const different = found.filter((name) => !settable.has(name) && isToBeRemoved(name));
  for (const [name, value] of settable)
    if (!found.includes(name) || !hasValue(handle, name, value)) different.push(name);
  return different.map((name) => ({ what: isAcl(name) ? 'acl' : 'xattr', name }));
}

function hasValue(handle: InodeHandle, name: string, value: Uint8Array): boolean {
  const out = Buffer.alloc(value.length + 1);
  const length = handle.getXattr(terminated(name), out);
  return length === value.length && out.subarray(0, length).equals(value);
}

function isAcl(name: string): boolean {
  return name === ACL_XATTR || name === DEFAULT_ACL_XATTR;
}

function isToBeRemoved(name: string): boolean {
  return isAcl(name) || (REMOVABLE.test(name) && isPlainXattr(name));
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

/** The errno where they cannot be listed. */
function listed(handle: InodeHandle): string[] | string {
  let length = handle.listXattrs(small);
  if (length === 0) return [];
  let list = small;
  if (length === 'ERANGE') {
    list = Buffer.alloc(XATTR_MAX);
    length = handle.listXattrs(list);
  }
  return typeof length === 'string' ? length : namesIn(list, length);
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
  return { what: isAcl(name) ? 'acl' : 'xattr', name: xattrKey(name), errno };
}
