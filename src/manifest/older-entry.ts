import { modeOfAcl } from '../files/acl.js';
import { formatAcl, type NamedAclEntry, parseAcl } from '../files/acl-text.js';
import { type BytePath, pathFromText } from '../files/byte-path.js';
import { isId, isRecord, SHA256, shown } from './fields.js';
import { LineFault } from './line-fault.js';
import { pathFields, targetFields } from './paths.js';
import type { DataRef, FileSystemEntry } from './types.js';

const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const CONTENT = 'content/';
/** Where neither mode nor ACL is recorded, or none that makes sense: closed to others. */
const CLOSED = { f: 0o600, d: 0o700 };
const SPECIAL_BITS = [0o4000, 0o2000, 0o1000];
/** Larger than any id. */
const NAMES_FROM = 2 ** 32;

/** An entry of the older format, as far as it stands by itself. */
export interface OlderEntry {
  path: BytePath;
  entry: FileSystemEntry;
  /** A further name of a file, whose content stands with another name of the same `id`. */
  isWithoutContent: boolean;
  /** What was written down beside it, for people. */
  warning: string | undefined;
}

/** Gives an entry of the older format the form of format 2. Throws {@link LineFault} where that cannot be. */
export function olderEntry(value: unknown): OlderEntry {
  if (!isRecord(value)) throw new LineFault('is no JSON object');
  const { typ, path: text, tgt, w } = value;
  if (typeof text !== 'string' || text === '') throw new LineFault('has no `path`');
  const path = pathFromPython(text);
  const owner = ownerOf(value);
  const warning = w === undefined || w === null ? undefined : typeof w === 'string' ? w : JSON.stringify(w);
  if (typ === 'l') {
    if (typeof tgt !== 'string') throw new LineFault(`${shown(text)} has no \`tgt\``);
    const target = targetFields(pathFromPython(tgt));
    return {
      path,
      warning,
      isWithoutContent: false,
      entry: { typ, ...pathFields(path), ...owner, ...target },
    };
  }
  if (typ !== 'd' && typ !== 'f') throw new LineFault(`${shown(text)} is of an unknown type (${shown(typ)})`);
  const rights = rightsOf(value, CLOSED[typ]);
  if (typ === 'd')
    return {
      path,
      warning,
      isWithoutContent: false,
      entry: { typ, ...pathFields(path), ...owner, ...rights },
    };
  const id =
    typeof value['id'] === 'string' || typeof value['id'] === 'number' ? { id: String(value['id']) } : {};
  const isWithoutContent = value['dat'] === undefined && 'id' in id;
  const data = isWithoutContent ? NO_CONTENT : dataOf(value);
  return {
    path,
    warning,
    isWithoutContent,
    entry: { typ, ...pathFields(path), ...owner, ...rights, ...data, ...id },
  };
}

const NO_CONTENT = { dat: null, sha: SHA256_OF_NOTHING, size: 0 };

function dataOf({ path, dat, ver }: Record<string, unknown>): { dat: DataRef; sha: string; size?: number } {
  if (dat === null) return NO_CONTENT;
  const sha = typeof dat === 'string' && dat.startsWith(CONTENT) ? dat.slice(CONTENT.length) : '';
  if (typeof dat !== 'string' || !SHA256.test(sha))
    throw new LineFault(`${shown(path)} names the content ${shown(dat)}`);
  if (typeof ver !== 'string' && ver !== null) throw new LineFault(`${shown(path)} names no version`);
  // A bucket that had no versions calls the only one so.
  return { dat: { key: dat, ver: ver ?? 'null', encIn: 'metadata' }, sha };
}

type Owner = Pick<FileSystemEntry, 'o' | 'g' | 'uid' | 'gid'>;

function ownerOf({ path, o, g }: Record<string, unknown>): Owner {
  const [user, group] = [ownerName(o), ownerName(g)];
  if (user === undefined || group === undefined) throw new LineFault(`${shown(path)} has no owner and group`);
  return {
    o: user,
    g: group,
    ...(typeof user === 'number' ? { uid: user } : {}),
    ...(typeof group === 'number' ? { gid: group } : {}),
  };
}

function ownerName(value: unknown): string | number | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return typeof value === 'number' && isId(value) ? value : undefined;
}

/** The mode from `mode` or `acl`, and the special bits of `sb`; the ACL where it says more than the mode. */
function rightsOf(
  { mode, acl, sb }: Record<string, unknown>,
  closed: number,
): { mode: number; acl?: string } {
  const special = specialBits(sb);
  const recorded =
    typeof mode === 'number' && Number.isInteger(mode) && mode >= 0 ? mode & 0o7777 : undefined;
  if (typeof acl !== 'string') return { mode: (recorded ?? closed) | special };
  const parsed = tryParse(acl);
  // What is wrong with it is told by who restores it.
  if (parsed === undefined) return { mode: (recorded ?? closed) | special, acl };
  const fromAcl =
    parsed.access.length > 0
      ? modeOfAcl(parsed.access.map(({ tag, permissions }) => ({ tag, permissions })))
      : undefined;
  const text = textOf(parsed.access, parsed.default);
  const all = { mode: (recorded ?? fromAcl ?? closed) | special };
  return text === undefined ? all : { ...all, acl: text };
}

function specialBits(sb: unknown): number {
  if (typeof sb !== 'string') return 0;
  return SPECIAL_BITS.reduce((bits, bit, index) => bits | ((sb[index] ?? '-') === '-' ? 0 : bit), 0);
}

function tryParse(acl: string): ReturnType<typeof parseAcl> | undefined {
  try {
    return parseAcl(acl);
  } catch {
    return undefined;
  }
}

/** In the spelling of format 2. Names are given numbers for that, since that is what ACLs are made of there. */
function textOf(access: readonly NamedAclEntry[], defaults: readonly NamedAclEntry[]): string | undefined {
  const names: string[] = [];
  const numbered = (entries: readonly NamedAclEntry[]) =>
    entries.map(({ tag, who, permissions }) => {
      if (who === undefined) return { tag, permissions };
      return { tag, permissions, id: typeof who === 'number' ? who : NAMES_FROM + names.push(who) - 1 };
    });
  const nameOf = (id: number) => names[id - NAMES_FROM] ?? id;
  return formatAcl(numbered(access), defaults.length > 0 ? numbered(defaults) : undefined, {
    user: nameOf,
    group: nameOf,
  });
}

const ESCAPED_BYTE = /[\udc80-\udcff]/;

/**
 * A path as Python writes it into JSON: bytes that are no valid UTF-8 stand as lone surrogates, U+DC80 to U+DCFF
 * (PEP 383).
 */
function pathFromPython(text: string): BytePath {
  if (!ESCAPED_BYTE.test(text)) return pathFromText(text);
  let path = '';
  // By code points, so that the halves of a pair are not taken for such bytes.
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    path += code >= 0xdc80 && code <= 0xdcff ? String.fromCharCode(code - 0xdc00) : pathFromText(char);
  }
  return path as BytePath;
}
