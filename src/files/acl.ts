/**
 * POSIX ACLs as the kernel holds them in `system.posix_acl_access` and `system.posix_acl_default`: u32 version 2,
 * then for each entry u16 tag, u16 permission, u32 id, all little-endian (linux/posix_acl_xattr.h).
 */
export type AclTag = 'user-obj' | 'user' | 'group-obj' | 'group' | 'mask' | 'other';

export interface AclEntry {
  tag: AclTag;
  /** Of `user` and `group` only. */
  id?: number;
  /** 4 read, 2 write, 1 execute. */
  permissions: number;
}

const VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const NO_ID = 0xffffffff;

const TAG_CODES: Record<AclTag, number> = {
  'user-obj': 0x01,
  user: 0x02,
  'group-obj': 0x04,
  group: 0x08,
  mask: 0x10,
  other: 0x20,
};
const TAGS = new Map<number, AclTag>([
  [0x01, 'user-obj'],
  [0x02, 'user'],
  [0x04, 'group-obj'],
  [0x08, 'group'],
  [0x10, 'mask'],
  [0x20, 'other'],
]);

/** Undefined where the bytes are no ACL of this version. */
export function decodeAcl(bytes: Buffer): AclEntry[] | undefined {
  if (bytes.length < HEADER || (bytes.length - HEADER) % ENTRY !== 0) return undefined;
  if (bytes.readUInt32LE(0) !== VERSION) return undefined;
  const entries: AclEntry[] = [];
  for (let at = HEADER; at < bytes.length; at += ENTRY) {
    const tag = TAGS.get(bytes.readUInt16LE(at));
    if (tag === undefined) return undefined;
    const permissions = bytes.readUInt16LE(at + 2) & 7;
    if (tag === 'user' || tag === 'group') entries.push({ tag, permissions, id: bytes.readUInt32LE(at + 4) });
    else entries.push({ tag, permissions });
  }
  return entries;
}

/** In the order that the kernel asks for: by tag, then by id. */
export function encodeAcl(entries: readonly AclEntry[]): Buffer {
  const ordered = entries.toSorted(
    (a, b) => TAG_CODES[a.tag] - TAG_CODES[b.tag] || (a.id ?? NO_ID) - (b.id ?? NO_ID),
  );
  const bytes = Buffer.alloc(HEADER + ENTRY * ordered.length);
  bytes.writeUInt32LE(VERSION, 0);
  let at = HEADER;
  for (const { tag, id, permissions } of ordered) {
    bytes.writeUInt16LE(TAG_CODES[tag], at);
    bytes.writeUInt16LE(permissions, at + 2);
    bytes.writeUInt32LE(id ?? NO_ID, at + 4);
    at += ENTRY;
  }
  return bytes;
}

/** Whether an access ACL says nothing that the mode's nine bits do not. (A default ACL always says something.) */
export function saysNoMoreThanMode(access: readonly AclEntry[]): boolean {
  return access.every(({ tag }) => tag === 'user-obj' || tag === 'group-obj' || tag === 'other');
}

/** The nine permission bits that `stat` shows of a file with this access ACL: the mask's in the group's place. */
export function modeOfAcl(access: readonly AclEntry[]): number {
  const of = (tag: AclTag) => access.find((entry) => entry.tag === tag)?.permissions;
  return ((of('user-obj') ?? 0) << 6) | ((of('mask') ?? of('group-obj') ?? 0) << 3) | (of('other') ?? 0);
}
