import { encodeAcl } from '../files/acl.js';
import {
  type AclIds,
  bindAcl,
  type NamedAclEntry,
  namesInAcl,
  type ParsedAcl,
  parseAcl,
} from '../files/acl-text.js';
import type { MetadataFailure, WantedMetadata } from '../files/apply.js';
import type { OwnerIds } from '../files/owners.js';
import { parseTimeNs } from '../files/stat.js';
import { ACL_XATTR, DEFAULT_ACL_XATTR } from '../files/xattr.js';
import type { FileSystemEntry } from '../manifest/types.js';

/** What shall be set on a path, and what of it is impossible already. */
export interface ResolvedMetadata {
  wanted: WantedMetadata;
  failures: MetadataFailure[];
}

/** ACL texts whose meaning is kept: a tree has few different ones. */
const ACLS_KEPT = 10_000;

/** Turns the metadata of manifest entries into what this machine's calls take: names into ids, ACLs into bytes. */
export class MetadataResolver {
  readonly #owners: OwnerIds;
  readonly #numeric: boolean;
  readonly #acls = new Map<string, ParsedAcl | undefined>();
  readonly #ids: AclIds;

  /** `numeric`: whether the ids recorded beside the names count, and not the names. */
  constructor(owners: OwnerIds, numeric: boolean) {
    this.#owners = owners;
    this.#numeric = numeric;
    this.#ids = {
      user: (name) => owners.uidOf(name),
      group: (name) => owners.gidOf(name),
    };
  }

  /** Looks up all names in these entries; to be awaited before {@link resolve} gets them. */
  async prepare(entries: readonly FileSystemEntry[]): Promise<void> {
    const users = new Set<string | number>();
    const groups = new Set<string | number>();
    for (const entry of entries) {
      users.add(entry.o);
      groups.add(entry.g);
      const acl = 'acl' in entry && entry.acl !== undefined ? this.#parsed(entry.acl) : undefined;
      if (!acl) continue;
      const names = namesInAcl(acl);
      for (const name of names.users) users.add(name);
      for (const name of names.groups) groups.add(name);
    }
    await this.#owners.resolve(users, groups);
  }

  resolve(entry: FileSystemEntry): ResolvedMetadata {
    const failures: MetadataFailure[] = [];
    const wanted: WantedMetadata = {};
    const uid = this.#numeric ? entry.uid : this.#owners.uidOf(entry.o, entry.uid);
    const gid = this.#numeric ? entry.gid : this.#owners.gidOf(entry.g, entry.gid);
    if (uid !== undefined) wanted.uid = uid;
    if (gid !== undefined) wanted.gid = gid;
    const mtimeNs = parseTimeNs(entry.mt);
    if (mtimeNs !== undefined) wanted.mtimeNs = mtimeNs;
    if (entry.xattr) wanted.xattr = entry.xattr;
    if (entry.typ !== 'l') {
      wanted.mode = entry.mode;
      if (entry.acl !== undefined) this.#resolveAcl(entry.acl, entry.typ === 'd', wanted, failures);
    }
    return { wanted, failures };
  }

  #resolveAcl(text: string, isFolder: boolean, wanted: WantedMetadata, failures: MetadataFailure[]): void {
    const parsed = this.#parsed(text);
    if (!parsed) {
      failures.push({ what: 'acl', name: ACL_XATTR, errno: 'EINVAL' });
      return;
    }
    const access = this.#bound(parsed.access, ACL_XATTR, failures);
    if (access) wanted.acl = access;
    const defaults = isFolder ? this.#bound(parsed.default, DEFAULT_ACL_XATTR, failures) : undefined;
    if (defaults) wanted.defaultAcl = defaults;
  }

  #bound(named: readonly NamedAclEntry[], name: string, failures: MetadataFailure[]): Buffer | undefined {
    if (named.length === 0) return undefined;
    const { entries, unknown } = bindAcl(named, this.#ids);
    for (const who of unknown) failures.push({ what: 'acl', name, errno: `nobody here is called ${who}` });
    return encodeAcl(entries);
  }

  /** undefined where the text is no ACL. */
  #parsed(text: string): ParsedAcl | undefined {
    if (this.#acls.has(text)) return this.#acls.get(text);
    if (this.#acls.size >= ACLS_KEPT) this.#acls.clear();
    let parsed: ParsedAcl | undefined;
    try {
      parsed = parseAcl(text);
    } catch {
      parsed = undefined;
    }
    this.#acls.set(text, parsed);
    return parsed;
  }
}
