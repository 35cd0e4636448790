import type { MetadataFailure, WantedMetadata } from './apply.js';
import { differentXattrs } from './apply-xattrs.js';
import type { InodeHandle } from './handle.js';
import type { FileStat } from './stat.js';
import { xattrKey } from './xattr.js';

const SETUID = 0o4000;
const SETGID = 0o2000;

/** What of a file is not as wanted. */
export interface MetadataDifference {
  /** Whether `applyMetadata` would change something, as far as this user may. */
  canBeSet: boolean;
  /** What this user may not change, and what the file system does not have. */
  notSettable: MetadataFailure[];
}

/** As whom metadata is set. */
export interface Setter {
  uid: number;
  groups: ReadonlySet<number>;
}

/** The user of this process. */
export function thisSetter(): Setter {
  const groups = new Set(process.getgroups?.() ?? []);
  groups.add(process.getegid?.() ?? 0);
  return { uid: process.geteuid?.() ?? 0, groups };
}

/**
 * Compares a file's metadata with what `applyMetadata` would set, which is not called. The errno's name where the file
 * cannot be looked at.
 */
export function compareMetadata(
  handle: InodeHandle,
  wanted: WantedMetadata,
  setter: Setter,
): MetadataDifference | string {
  const stat = handle.stat();
  if (typeof stat === 'string') return stat;
  const comparison = new Comparison(stat, setter);
  comparison.owners(wanted);
  if (wanted.mode !== undefined) comparison.mode(wanted, wanted.mode);
  comparison.xattrs(handle, wanted);
  if (wanted.mtimeNs !== undefined && wanted.mtimeNs !== stat.mtimeNs)
    comparison.different({ what: 'times', errno: 'EPERM' }, comparison.isOwners);
  return comparison;
}

class Comparison implements MetadataDifference {
  canBeSet = false;
  readonly notSettable: MetadataFailure[] = [];
  /** Whether the file is the setter's to change, in all but its owner. */
  readonly isOwners: boolean;
  readonly #stat: FileStat;
  readonly #setter: Setter;
  readonly #isRoot: boolean;

  constructor(stat: FileStat, setter: Setter) {
    this.#stat = stat;
    this.#setter = setter;
    this.#isRoot = setter.uid === 0;
    this.isOwners = this.#isRoot || stat.uid === setter.uid;
  }

  different(difference: MetadataFailure, isSettable: boolean): void {
    if (isSettable) this.canBeSet = true;
    else this.notSettable.push(difference);
  }

  owners({ uid, gid }: WantedMetadata): void {
    if (uid !== undefined && uid !== this.#stat.uid)
      this.different({ what: 'owner', errno: 'EPERM' }, this.#isRoot);
    if (gid !== undefined && gid !== this.#stat.gid)
      this.different({ what: 'group', errno: 'EPERM' }, this.#maySetGroup(gid));
  }

  /** Setuid and setgid stay off where their owner cannot be set, as `applyMetadata` has it. */
  mode({ uid, gid }: WantedMetadata, mode: number): void {
    const owner = uid !== undefined && (uid === this.#stat.uid || this.#isRoot);
    const group = gid !== undefined && (gid === this.#stat.gid || this.#maySetGroup(gid));
    const safe = mode & 0o7777 & ~(owner ? 0 : SETUID) & ~(group ? 0 : SETGID);
    if (safe !== this.#stat.mode) this.different({ what: 'mode', errno: 'EPERM' }, this.isOwners);
    else if (safe !== (mode & 0o7777)) this.notSettable.push({ what: 'mode', errno: 'EPERM' });
  }

  xattrs(handle: InodeHandle, wanted: WantedMetadata): void {
    const different = differentXattrs(handle, wanted);
    if (typeof different === 'string') {
      const what = wanted.acl || wanted.defaultAcl ? 'acl' : 'xattr';
      this.notSettable.push({ what, name: '', errno: different });
      return;
    }
    for (const { what, name } of different) {
      const isUsers = what === 'acl' || name.startsWith('user.');
      const isSettable = this.isOwners && (isUsers || this.#isRoot);
      this.different({ what, name: xattrKey(name), errno: 'EPERM' }, isSettable);
    }
  }

  #maySetGroup(gid: number): boolean {
    return this.#isRoot || (this.isOwners && this.#setter.groups.has(gid));
  }
}
