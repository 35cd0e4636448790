import { type AclEntry, decodeAcl } from './acl.js';
import { formatAcl } from './acl-text.js';
import type { BytePath } from './byte-path.js';
import { type LinkTargetFields, linkTargetFields, readLink } from './links.js';
import { type FileStat, formatTimeNs } from './stat.js';
import { ACL_XATTR, DEFAULT_ACL_XATTR, readXattrs, type Xattrs } from './xattr.js';

/** What a manifest says of a file or folder besides its path and content. Manifest entries are made of it. */
export interface FileMetadata {
  /** Owner and group by name, or by number where no name was found. */
  o: string | number;
  g: string | number;
  uid: number;
  gid: number;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  /** POSIX ACL in text; absent where the mode says it all. */
  acl?: string;
  /** Extended attributes (see `Xattrs`); absent where there are none. */
  xattr?: Record<string, string>;
  /** Modification time: decimal seconds since the epoch with nine digits after the point. */
  mt: string;
}

/** The same of a symlink, which has no mode. */
export type LinkMetadata = Omit<FileMetadata, 'mode' | 'acl'> & LinkTargetFields;

/** An attribute or ACL that is there and could not be read; the entry is without it. */
export interface Unreadable {
  name: string;
  errno: string;
}

export type Description<Metadata> =
  | { is: 'described'; metadata: Metadata; unreadable?: Unreadable[] }
  /** Names are missing: await `OwnerNames.resolve(uids, gids)` and describe it again. Once per id. */
  | { is: 'unresolved'; uids: number[]; gids: number[] }
  /** Gone, or not to be reached: the errno's name. */
  | { is: 'failed'; errno: string };

/** The part of `OwnerNames` that is needed here. */
export interface KnownNames {
  nameOfUser(uid: number): string | number | undefined;
  nameOfGroup(gid: number): string | number | undefined;
}

/** Errnos that mean that there is nothing to describe any more, rather than attributes without access. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ESTALE']);

/**
 * A file or folder's metadata. `stat` is its own, taken before. Synchronous, and one system call where it has
 * neither ACL nor attributes: it is called for each new or changed file, a million times in a first run.
 */
export function describe(path: BytePath, stat: FileStat, names: KnownNames): Description<FileMetadata> {
  const { uid, gid } = stat;
  const o = names.nameOfUser(uid);
  const g = names.nameOfGroup(gid);
  if (o === undefined || g === undefined) return unresolved(uid, o, gid, g);
  const found = attributesOf(path);
  if (typeof found === 'string') return { is: 'failed', errno: found };

  const metadata: FileMetadata = { o, g, uid, gid, mode: stat.mode, mt: formatTimeNs(stat.mtimeNs) };
  const unreadable = found.unreadable ?? [];
  if (found.acl || found.defaultAcl) {
    const missing = { uids: new Set<number>(), gids: new Set<number>() };
    const access = decoded(ACL_XATTR, found.acl, unreadable);
    const defaults = decoded(DEFAULT_ACL_XATTR, found.defaultAcl, unreadable);
    const text = formatAcl(access, defaults, {
      user: (id) => names.nameOfUser(id) ?? remember(missing.uids, id),
      group: (id) => names.nameOfGroup(id) ?? remember(missing.gids, id),
    });
    if (missing.uids.size > 0 || missing.gids.size > 0)
      return { is: 'unresolved', uids: [...missing.uids], gids: [...missing.gids] };
    if (text !== undefined) metadata.acl = text;
  }
  if (found.xattr) metadata.xattr = found.xattr;
  return described(metadata, unreadable);
}

/** A symlink's metadata and target. */
export function describeLink(path: BytePath, stat: FileStat, names: KnownNames): Description<LinkMetadata> {
  const { uid, gid } = stat;
  const o = names.nameOfUser(uid);
  const g = names.nameOfGroup(gid);
  if (o === undefined || g === undefined) return unresolved(uid, o, gid, g);
  const link = readLink(path);
  if (typeof link === 'string') return { is: 'failed', errno: link };
  const found = attributesOf(path);
  if (typeof found === 'string') return { is: 'failed', errno: found };

  const mt = formatTimeNs(stat.mtimeNs);
  const metadata: LinkMetadata = { o, g, uid, gid, ...linkTargetFields(link.target), mt };
  if (found.xattr) metadata.xattr = found.xattr;
  return described(metadata, found.unreadable ?? []);
}

function unresolved(
  uid: number,
  user: string | number | undefined,
  gid: number,
  group: string | number | undefined,
): Description<never> {
  return {
    is: 'unresolved',
    uids: user === undefined ? [uid] : [],
    gids: group === undefined ? [gid] : [],
  };
}

function described<Metadata>(metadata: Metadata, unreadable: Unreadable[]): Description<Metadata> {
  return unreadable.length === 0 ? { is: 'described', metadata } : { is: 'described', metadata, unreadable };
}

/** The errno's name where the path is gone; attributes that may not be listed are none, and unreadable. */
function attributesOf(path: BytePath): Xattrs | string {
  const found = readXattrs(path);
  if (typeof found !== 'string' || GONE.has(found)) return found;
  return { unreadable: [{ name: 'extended attributes', errno: found }] };
}

function decoded(name: string, bytes: Buffer | undefined, unreadable: Unreadable[]): AclEntry[] | undefined {
  if (!bytes) return undefined;
  const entries = decodeAcl(bytes);
  if (!entries) unreadable.push({ name, errno: 'EINVAL' });
  return entries;
}

function remember(ids: Set<number>, id: number): number {
  ids.add(id);
  return id;
}
