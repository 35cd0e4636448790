import { SysbackupError } from '../errors.js';
import { type AclEntry, type AclTag, saysNoMoreThanMode } from './acl.js';

/** What an id is called: a name, or the number itself. */
export interface AclNames {
  user(uid: number): string | number;
  group(gid: number): string | number;
}

/** The id of a name, undefined where there is none. */
export interface AclIds {
  user(name: string): number | undefined;
  group(name: string): number | undefined;
}

/** One entry of a text: who it is for is still a name, or was a number from the start. */
export interface NamedAclEntry {
  tag: AclTag;
  who?: string | number;
  permissions: number;
}

export interface ParsedAcl {
  /** Empty where the text has none: the mode says it all. */
  access: NamedAclEntry[];
  /** Of a folder, for what is made in it; empty where it has none. */
  default: NamedAclEntry[];
}

const PREFIXES: Record<AclTag, string> = {
  'user-obj': 'user:',
  user: 'user:',
  'group-obj': 'group:',
  group: 'group:',
  mask: 'mask:',
  other: 'other:',
};

/** What would end a name too early. libacl writes these as a backslash and three octal digits, and so do we. */
const SPECIAL = /[:, \t\n\r#\\]/g;
const ALL_DIGITS = /^\d+$/;

/**
 * As `getfacl` prints it, one entry per line, default entries with `d:` before them; undefined where the two say
 * no more than the mode.
 */
export function formatAcl(
  access: readonly AclEntry[] | undefined,
  defaults: readonly AclEntry[] | undefined,
  names: AclNames,
): string | undefined {
  const lines: string[] = [];
  if (access && !saysNoMoreThanMode(access)) for (const entry of access) lines.push(line(entry, names));
  if (defaults) for (const entry of defaults) lines.push(`d:${line(entry, names)}`);
  return lines.length === 0 ? undefined : lines.join('\n');
}

function line(entry: AclEntry, names: AclNames): string {
  return `${PREFIXES[entry.tag]}${whoText(entry, names)}:${permissionText(entry.permissions)}`;
}

function whoText({ tag, id }: AclEntry, names: AclNames): string {
  if (id === undefined) return '';
  const name = tag === 'user' ? names.user(id) : names.group(id);
  // A user called "1000" would read as the id 1000, so such a one stands by its number.
  if (typeof name === 'number' || name === '' || ALL_DIGITS.test(name)) return String(id);
  return name.replaceAll(SPECIAL, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function permissionText(permissions: number): string {
  return `${permissions & 4 ? 'r' : '-'}${permissions & 2 ? 'w' : '-'}${permissions & 1 ? 'x' : '-'}`;
}

const LINE =
  /^(?<isDefault>d:|default:)?(?<kind>user|group|mask|other|[ugmo]):(?:(?<who>[^:]*):)?(?<bits>[r-][w-][x-])$/;
const NAMED: Partial<Record<string, AclTag>> = { u: 'user', g: 'group' };
const UNNAMED: Partial<Record<string, AclTag>> = {
  u: 'user-obj',
  g: 'group-obj',
  m: 'mask',
  o: 'other',
};

/**
 * The reverse, for what this program writes and for what older buckets hold: `getfacl -cE` and libacl's texts,
 * with `d:` or `default:`, blank lines, comments, `#effective:` behind an entry, and commas for line ends.
 * A mask that is missing although named entries need one is added, as `setfacl` does.
 *
 * @throws SysbackupError DAMAGED where it is no such text, or the three entries that every ACL has are not there
 *   exactly once.
 */
export function parseAcl(text: string): ParsedAcl {
  const parsed: ParsedAcl = { access: [], default: [] };
  for (const piece of text.split(/[\n,]/)) {
    const bare = piece.replace(/(?:^|\s)#.*$/, '').trim();
    if (bare !== '') addEntry(parsed, bare);
  }
  complete(parsed.access, text);
  complete(parsed.default, text);
  return parsed;
}

function addEntry(parsed: ParsedAcl, bare: string): void {
  const groups = LINE.exec(bare)?.groups;
  const kind = (groups?.['kind'] ?? '').charAt(0);
  const who = unescapeName(groups?.['who'] ?? '');
  const tag = who === '' ? UNNAMED[kind] : NAMED[kind];
  if (!groups || !tag) throw damaged(`"${bare}" is no entry of an ACL`);
  const bits = groups['bits'] ?? '';
  const entry: NamedAclEntry = {
    tag,
    permissions: (bits[0] === 'r' ? 4 : 0) | (bits[1] === 'w' ? 2 : 0) | (bits[2] === 'x' ? 1 : 0),
  };
  if (who !== '') entry.who = ALL_DIGITS.test(who) ? idOf(who) : who;
  parsed[groups['isDefault'] === undefined ? 'access' : 'default'].push(entry);
}

function idOf(digits: string): number {
  const id = Number(digits);
  if (id >= 0xffffffff) throw damaged(`${digits} in an ACL is too large for a user or group id`);
  return id;
}

function complete(entries: NamedAclEntry[], text: string): void {
  if (entries.length === 0) return;
  const count = (tag: AclTag) => entries.reduce((sum, entry) => sum + (entry.tag === tag ? 1 : 0), 0);
  for (const tag of ['user-obj', 'group-obj', 'other'] as const)
    if (count(tag) !== 1)
      throw damaged(`"${shorten(text)}" must have one entry ${PREFIXES[tag]}: in each part`);
  if (count('mask') > 1) throw damaged(`"${shorten(text)}" has two masks`);
  if (count('mask') === 0 && (count('user') > 0 || count('group') > 0)) {
    let permissions = 0;
    for (const { tag, permissions: more } of entries)
      if (tag === 'user' || tag === 'group' || tag === 'group-obj') permissions |= more;
    entries.push({ tag: 'mask', permissions });
  }
}

function unescapeName(text: string): string {
  if (!text.includes('\\')) return text;
  // libacl escapes byte by byte, so the result may be pieces of UTF-8.
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const plain = bytes.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1').toString('utf8');
}

/** The names that must be looked up before {@link bindAcl}. */
export function namesInAcl({ access, default: defaults }: ParsedAcl): { users: string[]; groups: string[] } {
  const users = new Set<string>();
  const groups = new Set<string>();
  for (const { tag, who } of [...access, ...defaults])
    if (typeof who === 'string') (tag === 'user' ? users : groups).add(who);
  return { users: [...users], groups: [...groups] };
}

export interface BoundAcl {
  /** Ready for `encodeAcl`; entries whose name is unknown here are left out. */
  entries: AclEntry[];
  /** Those names. */
  unknown: string[];
}

/** Puts ids in the place of names. Of two entries for one id the first counts; the kernel refuses both. */
export function bindAcl(named: readonly NamedAclEntry[], ids: AclIds): BoundAcl {
  const entries: AclEntry[] = [];
  const unknown: string[] = [];
  const seen = new Set<string>();
  for (const { tag, who, permissions } of named) {
    if (who === undefined) {
      entries.push({ tag, permissions });
      continue;
    }
    const id = typeof who === 'number' ? who : tag === 'user' ? ids.user(who) : ids.group(who);
    if (id === undefined) unknown.push(String(who));
    else if (!seen.has(`${tag} ${id}`)) {
      seen.add(`${tag} ${id}`);
      entries.push({ tag, permissions, id });
    }
  }
  return { entries, unknown };
}

function damaged(message: string): SysbackupError {
  return new SysbackupError('DAMAGED', message, {
    hint: 'The permissions of this path must be set by hand; compare with another run.',
  });
}

function shorten(text: string): string {
  const oneLine = text.trim().replaceAll(/\s+/g, ' ');
  return oneLine.length > 60 ? `${oneLine.slice(0, 60)}…` : oneLine;
}
