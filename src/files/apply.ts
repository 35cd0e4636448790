import { applyXattrs, type WantedXattrs, type XattrFailure } from './apply-xattrs.js';
import type { InodeHandle } from './handle.js';

/** What shall be set. What is absent stays as it is, attributes and ACLs excepted: those are made to be these. */
export interface WantedMetadata extends WantedXattrs {
  uid?: number;
  gid?: number;
  /** Permission bits with setuid, setgid and sticky. Absent for a symlink, which has none. */
  mode?: number;
  /** Nanoseconds since the epoch. */
  mtimeNs?: bigint;
}

/** Something that could not be set. */
export type MetadataFailure =
  | XattrFailure
  /** `errno` of the mode is EPERM also where setuid or setgid was left out because its owner could not be set. */
  | { what: 'owner' | 'group' | 'mode' | 'times'; errno: string };

const SETUID = 0o4000;
const SETGID = 0o2000;
/** In place of nanoseconds: leave this time as it is (linux/stat.h). */
const UTIME_OMIT = (1n << 30n) - 2n;
const SECOND = 1_000_000_000n;

const timespecs = Buffer.alloc(32);

/**
 * Sets a file's metadata, in the only order in which all of it survives:
 * 1. owner and group, since that takes setuid, setgid and `security.capability` away;
 * 2. attributes and ACLs, while the file may still be written, and since an ACL changes the mode;
 * 3. the mode;
 * 4. the time, which all of the content must be written before.
 * Each is tried, whatever became of those before, and nothing is thrown. A setuid bit without its owner would give
 * away the rights of whoever restores, so it stays off where the owner is not given or could not be set; setgid
 * likewise.
 */
export function applyMetadata(handle: InodeHandle, wanted: WantedMetadata): MetadataFailure[] {
  const failures: MetadataFailure[] = applyOwner(handle, wanted);
  for (const failure of applyXattrs(handle, wanted)) failures.push(failure);
  if (wanted.mode !== undefined) applyMode(handle, wanted, wanted.mode, failures);
  if (wanted.mtimeNs !== undefined) {
    const errno = applyTime(handle, wanted.mtimeNs);
    if (errno !== undefined) failures.push({ what: 'times', errno });
  }
  return failures;
}

function applyOwner(handle: InodeHandle, { uid, gid }: WantedMetadata): MetadataFailure[] {
  if (uid === undefined && gid === undefined) return [];
  const both = handle.chown(uid, gid);
  if (both === undefined) return [];
  // Who is not root may still choose among the groups they are in.
  const failures: MetadataFailure[] = [];
  const owner = uid === undefined ? undefined : handle.chown(uid, undefined);
  if (owner !== undefined) failures.push({ what: 'owner', errno: owner });
  const group = gid === undefined ? undefined : handle.chown(undefined, gid);
  if (group !== undefined) failures.push({ what: 'group', errno: group });
  return failures;
}

function applyMode(
  handle: InodeHandle,
  { uid, gid }: WantedMetadata,
  mode: number,
  failures: MetadataFailure[],
): void {
  const lacks = (what: 'owner' | 'group') => failures.some((failure) => failure.what === what);
  let safe = mode & 0o7777;
  if (uid === undefined || lacks('owner')) safe &= ~SETUID;
  if (gid === undefined || lacks('group')) safe &= ~SETGID;
  const errno = handle.chmod(safe);
  if (errno !== undefined) failures.push({ what: 'mode', errno });
  else if (safe !== (mode & 0o7777)) failures.push({ what: 'mode', errno: 'EPERM' });
}

function applyTime(handle: InodeHandle, mtimeNs: bigint): string | undefined {
  const nanoseconds = ((mtimeNs % SECOND) + SECOND) % SECOND;
  const seconds = (mtimeNs - nanoseconds) / SECOND;
  if (BigInt.asIntN(64, seconds) !== seconds) return 'EINVAL';
  timespecs.writeBigInt64LE(UTIME_OMIT, 8);
  timespecs.writeBigInt64LE(seconds, 16);
  timespecs.writeBigInt64LE(nanoseconds, 24);
  return handle.setTimes(timespecs) ?? (isUsual(seconds) ? undefined : notKept(handle, seconds));
}

/** What every file system keeps but some that begin in 1980: from 1970 to 2038. */
function isUsual(seconds: bigint): boolean {
  return seconds >= 0n && seconds < 1n << 31n;
}

/** The kernel gives a file the nearest time that the file system has room for, and says nothing of it (FAT: 2 s). */
function notKept(handle: InodeHandle, seconds: bigint): string | undefined {
  const stat = handle.stat();
  if (typeof stat === 'string') return stat;
  const off = stat.mtimeNs - seconds * SECOND;
  return off > -2n * SECOND && off < 2n * SECOND ? undefined : TIME_NOT_KEPT;
}

const TIME_NOT_KEPT = 'this file system has no room for it';
