import { explainedErrno } from '../errno-names.js';
import { applyMetadata, type MetadataFailure, type WantedMetadata } from '../files/apply.js';
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

  /** What {@link set} would set, and what of it cannot be had here. */
  wanted(entry: FileSystemEntry): { wanted: WantedMetadata; problems: string[] } {
    return wantedOf(this.#recorded(entry), this.#owners);
  }

  #recorded(entry: FileSystemEntry): RecordedMetadata {
    return this.#numeric ? { ...entry, o: entry.uid ?? entry.o, g: entry.gid ?? entry.g } : entry;
  }
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
