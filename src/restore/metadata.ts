import { explainedErrno } from '../errno-names.js';
import { differentXattrs } from '../files/apply-xattrs.js';
import { applyMetadata, type MetadataFailure, type WantedMetadata } from '../files/apply.js';
import { compareMetadata, type Setter, thisSetter } from '../files/compare-metadata.js';
import type { InodeHandle } from '../files/handle.js';
import type { OwnerIds } from '../files/owners.js';
import { ownersIn, type RecordedMetadata, wantedOf } from '../files/recorded.js';
import type { FileSystemEntry } from '../manifest/types.js';

/** Kinds of metadata that it may be impossible to set. `recorded`: what an entry says means nothing on this machine. */
export type MetadataKind = MetadataFailure['what'] | 'recorded';

/** What of one path's metadata could not be set, and why: an errno, or a sentence. */
export interface NotSet {
  what: MetadataKind;
  reason: string;
}

/** Gives restored paths the metadata of their entries, in terms of this machine's users and groups. */
export class MetadataSetter {
  readonly #owners: OwnerIds;
  readonly #numeric: boolean;
  readonly #setter: Setter = thisSetter();

  /** `numeric`: whether the ids recorded beside the owners' names count, and not the names. */
  constructor(owners: OwnerIds, numeric: boolean) {
    this.#owners = owners;
    this.#numeric = numeric;
  }

  /** Looks up all names in these entries; to be awaited before {@link set} gets them. */
  async prepare(entries: readonly FileSystemEntry[]): Promise<void> {
    const users = new Set<string | number>();
    const groups = new Set<string | number>();
    for (const entry of entries) {
      const names = ownersIn(this.#recorded(entry));
      for (const user of names.users) users.add(user);
      for (const group of names.groups) groups.add(group);
    }
    await this.#owners.resolve(users, groups);
  }

  set(handle: InodeHandle, entry: FileSystemEntry): NotSet[] {
    const { wanted, problems } = this.wanted(entry);
    return notSetOf(problems, applyMetadata(handle, wanted));
  }

  /**
   * Whether {@link set} would change anything, and what it could not; nothing is changed. The errno's name where the
   * file cannot be looked at.
   */
  compare(handle: InodeHandle, entry: FileSystemEntry): { canBeSet: boolean; notSet: NotSet[] } | string {
    const { wanted, problems } = this.wanted(entry);
    const difference = compareMetadata(handle, wanted, this.#setter);
    if (typeof difference === 'string') return difference;
    return { canBeSet: difference.canBeSet, notSet: notSetOf(problems, difference.notSettable) };
  }

  /** {@link set}, and whether that has changed anything: a file system may not have what was to be set. */
  update(handle: InodeHandle, entry: FileSystemEntry): { changed: boolean; notSet: NotSet[] } {
    const { wanted, problems } = this.wanted(entry);
    const before = stateOf(handle, wanted);
    const notSet = notSetOf(problems, applyMetadata(handle, wanted));
    return { changed: stateOf(handle, wanted) !== before, notSet };
  }

  /** What {@link set} would set, and what of it cannot be had here. */
  wanted(entry: FileSystemEntry): { wanted: WantedMetadata; problems: string[] } {
    return wantedOf(this.#recorded(entry), this.#owners);
  }

  #recorded(entry: FileSystemEntry): RecordedMetadata {
    return this.#numeric ? { ...entry, o: entry.uid ?? entry.o, g: entry.gid ?? entry.g } : entry;
  }
}

/** The same text where nothing was changed of what `applyMetadata` may change. */
function stateOf(handle: InodeHandle, wanted: WantedMetadata): string {
  const stat = handle.stat();
  const own = typeof stat === 'string' ? stat : `${stat.uid} ${stat.gid} ${stat.mode} ${stat.mtimeNs}`;
  return `${own} ${JSON.stringify(differentXattrs(handle, wanted))}`;
}

/** `problems` are those of {@link MetadataSetter.wanted}. */
export function notSetOf(problems: readonly string[], failures: readonly MetadataFailure[]): NotSet[] {
  if (failures.length === 0 && problems.length === 0) return [];
  return [
    ...problems.map((reason) => ({ what: 'recorded' as const, reason })),
    ...failures.map((failure) => ({ what: failure.what, reason: reasonOf(failure) })),
  ];
}

function reasonOf(failure: MetadataFailure): string {
  const reason = explainedErrno(failure.errno);
  return 'name' in failure ? `${failure.name}: ${reason}` : reason;
}
