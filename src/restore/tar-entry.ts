import { messageOf } from '../errors.js';
import { type NamedAclEntry, parseAcl } from '../files/acl-text.js';
import type { BytePath } from '../files/byte-path.js';
import { parseTimeNs } from '../files/stat.js';
import { isPlainXattr, xattrNameOfKey } from '../files/xattr.js';
import { linkTarget } from '../manifest/paths.js';
import type { FileSystemEntry } from '../manifest/types.js';
import { encodeTarHeader, type TarHeader } from './tar-header.js';

const NOTHING = '' as BytePath;
const TYPES = { d: 'directory', l: 'symlink', f: 'file' } as const;

/** A member's header, and sentences about what of the entry it cannot have. */
export interface EncodedEntry {
  header: Buffer;
  problems: string[];
}

/** The ids of "nobody", for who is known by a name alone: who extracts has the name, or else gives no rights away. */
const NOBODY = 65_534;

/**
 * The header of an entry, `/a/b` being `a/b`, and `/` being `./`. `linkTo` is the path of a member before it that
 * this is another name of; `mtimeNs` what an entry without a time is given.
 */
export function encodeEntry(
  path: BytePath,
  entry: FileSystemEntry,
  linkTo?: BytePath,
  mtimeNs = 0n,
): EncodedEntry {
  const problems: string[] = [];
  const records = new Map<string, Buffer>();
  if (linkTo === undefined) {
    addXattrs(entry, records, problems);
    if (entry.typ !== 'l' && entry.acl !== undefined) addAcl(entry.acl, records, problems);
  }
  const header: TarHeader = {
    name: nameInTar(path, entry.typ),
    type: linkTo === undefined ? TYPES[entry.typ] : 'link',
    mode: entry.typ === 'l' ? 0o777 : entry.mode,
    uid: entry.uid ?? (entry.o === 'root' ? 0 : NOBODY),
    gid: entry.gid ?? (entry.g === 'root' ? 0 : NOBODY),
    uname: nameOf(entry.o),
    gname: nameOf(entry.g),
    size: entry.typ === 'f' && linkTo === undefined ? (entry.size ?? 0) : 0,
    mtimeNs: (entry.mt === undefined ? mtimeNs : parseTimeNs(entry.mt)) ?? 0n,
    linkName:
      linkTo === undefined ? (entry.typ === 'l' ? linkTarget(entry) : NOTHING) : nameInTar(linkTo, 'f'),
    records,
  };
  return { header: encodeTarHeader(header), problems };
}

function nameInTar(path: BytePath, typ: FileSystemEntry['typ']): BytePath {
  if (path === '/') return './' as BytePath;
  return `${path.slice(1)}${typ === 'd' ? '/' : ''}` as BytePath;
}

function nameOf(owner: string | number): string {
  return typeof owner === 'string' ? owner : '';
}

/** As star began, and as GNU tar and libarchive read them: `%` and `=`, which would end the keyword, as `%25`, `%3D`. */
function addXattrs({ xattr = {} }: FileSystemEntry, records: Map<string, Buffer>, problems: string[]): void {
  for (const [key, value] of Object.entries(xattr)) {
    const name = xattrNameOfKey(key);
    if (name === undefined || !isPlainXattr(name)) {
      problems.push(`the extended attribute ${JSON.stringify(key)} has a name that is none`);
      continue;
    }
    const keyword = name.replaceAll('%', '%25').replaceAll('=', '%3D');
    records.set(`SCHILY.xattr.${keyword}`, Buffer.from(value, 'base64'));
  }
}

function addAcl(text: string, records: Map<string, Buffer>, problems: string[]): void {
  try {
    const { access, default: defaults } = parseAcl(text);
    for (const [keyword, entries] of [
      ['SCHILY.acl.access', access],
      ['SCHILY.acl.default', defaults],
    ] as const)
      if (entries.length > 0) records.set(keyword, Buffer.from(entries.map(aclLine).join(',')));
  } catch (error) {
    problems.push(messageOf(error));
  }
}

const KINDS: Record<NamedAclEntry['tag'], string> = {
  'user-obj': 'user',
  user: 'user',
  'group-obj': 'group',
  group: 'group',
  mask: 'mask',
  other: 'other',
};

function aclLine({ tag, who = '', permissions }: NamedAclEntry): string {
  const name = String(who).replaceAll(
    /[:, \t\n\r#\\]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  const bits = `${permissions & 4 ? 'r' : '-'}${permissions & 2 ? 'w' : '-'}${permissions & 1 ? 'x' : '-'}`;
  return `${KINDS[tag]}:${name}:${bits}`;
}
