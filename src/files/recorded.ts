import { SysbackupError } from '../errors.js';
import { encodeAcl, modeOfAcl, saysNoMoreThanMode } from './acl.js';
import { type BoundAcl, bindAcl, namesInAcl, type ParsedAcl, parseAcl } from './acl-text.js';
import type { WantedMetadata } from './apply.js';
import type { OwnerIds } from './owners.js';
import { parseTimeNs } from './stat.js';

/** What an entry of either format says of a file, folder or symlink. */
export interface RecordedMetadata {
  o: string | number;
  g: string | number;
  /** The older format has neither these, nor a time, nor a mode where there is an ACL. */
  uid?: number;
  gid?: number;
  mode?: number;
  acl?: string;
  xattr?: Record<string, string>;
  mt?: string;
}

/** The names in an entry, for `OwnerIds.resolve`. An ACL that makes no sense has none. */
export function ownersIn({ o, g, acl }: RecordedMetadata): {
  users: (string | number)[];
  groups: (string | number)[];
} {
  if (acl === undefined) return { users: [o], groups: [g] };
  const parsed = tryParse(acl);
  if (typeof parsed === 'string') return { users: [o], groups: [g] };
  const { users, groups } = namesInAcl(parsed);
  return { users: [o, ...users], groups: [g, ...groups] };
}

/**
 * What `applyMetadata` shall set here, on the machine that `ids` knows. `problems` are sentences about what the
 * entry says and cannot be had: an owner or a name in an ACL that is unknown here, an ACL or a time that is none.
 */
export function wantedOf(
  recorded: RecordedMetadata,
  ids: OwnerIds,
): { wanted: WantedMetadata; problems: string[] } {
  const wanted: WantedMetadata = {};
  const problems: string[] = [];
  const uid = ids.uidOf(recorded.o, recorded.uid);
  const gid = ids.gidOf(recorded.g, recorded.gid);
  if (uid === undefined) problems.push(`there is no user ${recorded.o} here`);
  else wanted.uid = uid;
  if (gid === undefined) problems.push(`there is no group ${recorded.g} here`);
  else wanted.gid = gid;
  if (recorded.mode !== undefined) wanted.mode = recorded.mode & 0o7777;
  if (recorded.xattr) wanted.xattr = recorded.xattr;
  if (recorded.acl !== undefined) addAcl(recorded.acl, ids, wanted, problems);
  if (recorded.mt !== undefined) {
    const mtimeNs = parseTimeNs(recorded.mt);
    if (mtimeNs === undefined) problems.push(`"${recorded.mt.slice(0, 40)}" is no modification time`);
    else wanted.mtimeNs = mtimeNs;
  }
  return { wanted, problems };
}

function addAcl(text: string, ids: OwnerIds, wanted: WantedMetadata, problems: string[]): void {
  const parsed = tryParse(text);
  if (typeof parsed === 'string') {
    problems.push(parsed);
    return;
  }
  const lookup = { user: (name: string) => ids.uidOf(name), group: (name: string) => ids.gidOf(name) };
  const access = bindAcl(parsed.access, lookup);
  const defaults = bindAcl(parsed.default, lookup);
  if (access.entries.length > 0) {
    wanted.mode ??= modeOfAcl(access.entries);
    if (!saysNoMoreThanMode(access.entries)) wanted.acl = encodeAcl(access.entries);
  }
  if (defaults.entries.length > 0) wanted.defaultAcl = encodeAcl(defaults.entries);
  for (const name of unknownIn(access, defaults))
    problems.push(`the ACL's entry for ${name} is left out: there is nobody of that name here`);
}

function unknownIn(...acls: BoundAcl[]): Set<string> {
  return new Set(acls.flatMap(({ unknown }) => unknown));
}

function tryParse(text: string): ParsedAcl | string {
  try {
    return parseAcl(text);
  } catch (error) {
    if (error instanceof SysbackupError) return error.message;
    throw error;
  }
}
