/**
 * Headers of the pax format: POSIX.1-2008, `pax`, "pax Interchange Format" and "ustar Interchange Format". Names and
 * values are bytes here, which no library at hand lets them be.
 */
import type { BytePath } from '../files/byte-path.js';

export const TAR_BLOCK = 512;

export type TarType = 'file' | 'link' | 'symlink' | 'directory';

const TYPE_FLAGS: Record<TarType, string> = { file: '0', link: '1', symlink: '2', directory: '5' };
const EXTENDED = 'x';

export interface TarHeader {
  /** Relative; a folder's ends in `/`. */
  name: BytePath;
  type: TarType;
  mode: number;
  uid: number;
  gid: number;
  /** Owner and group by name; empty where they have none. */
  uname: string;
  gname: string;
  /** Of the content that follows. */
  size: number;
  /** Nanoseconds since the epoch. */
  mtimeNs: bigint;
  /** A symlink's target, or the name in the tar that a link is another name of. */
  linkName: BytePath;
  /** Further extended records, by keyword (latin-1). */
  records: ReadonlyMap<string, Buffer>;
}

const NAME_MAX = 100;
const PREFIX_MAX = 155;
const LINK_NAME_MAX = 100;
const OWNER_NAME_MAX = 31;
const ID_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;
const SECOND = 1_000_000_000n;
const ASCII = /^[\x01-\x7f]*$/;

/**
 * The header of one member, with an extended header before it for all that the plain one cannot hold: long names,
 * fractions of a second, large numbers, records. Names that fit go into the plain one whatever their bytes: there
 * tars take them as they are.
 */
export function encodeTarHeader(header: TarHeader): Buffer {
  const records = new Map<string, Buffer>();
  const text = (keyword: string, value: string): void => {
    records.set(keyword, Buffer.from(value, 'latin1'));
  };
  const { name, linkName, mtimeNs, uid, gid, size } = header;
  const uname = latin1(header.uname);
  const gname = latin1(header.gname);
  if (splitName(name) === undefined) text('path', name);
  if (linkName.length > LINK_NAME_MAX) text('linkpath', linkName);
  if (uname.length > OWNER_NAME_MAX) text('uname', uname);
  if (gname.length > OWNER_NAME_MAX) text('gname', gname);
  // Else it is UTF-8, which bsdtar refuses where its locale has another, and normalizes where not.
  if ([...records.values()].some((value) => !ASCII.test(value.toString('latin1'))))
    text('hdrcharset', 'BINARY');
  if (uid > ID_MAX) text('uid', String(uid));
  if (gid > ID_MAX) text('gid', String(gid));
  if (size > SIZE_MAX) text('size', String(size));
  if (mtimeNs < 0n || mtimeNs % SECOND !== 0n || mtimeNs / SECOND > BigInt(SIZE_MAX))
    text('mtime', decimal(mtimeNs));
  for (const [keyword, value] of header.records) records.set(keyword, value);
  const plain = ustar({ ...header, uname, gname }, TYPE_FLAGS[header.type], size);
  if (records.size === 0) return plain;
  const extended = Buffer.concat([...records].map(([keyword, value]) => record(keyword, value)));
  const ofExtended = {
    ...header,
    uname,
    gname,
    name: 'PaxHeaders/next' as BytePath,
    linkName: '' as BytePath,
  };
  return Buffer.concat([
    ustar(ofExtended, EXTENDED, extended.length),
    extended,
    paddingAfter(extended.length),
    plain,
  ]);
}

/** What fills the last block after so many bytes. */
export function paddingAfter(size: number): Buffer {
  return Buffer.alloc((TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

/** `length keyword=value\n`, the length being that of all of it, its own digits included. */
function record(keyword: string, value: Buffer): Buffer {
  const bare = Buffer.concat([Buffer.from(` ${keyword}=`, 'latin1'), value, Buffer.from('\n')]);
  let digits = 1;
  while (String(bare.length + digits).length > digits) digits += 1;
  return Buffer.concat([Buffer.from(String(bare.length + digits)), bare]);
}

function ustar(header: TarHeader, typeFlag: string, size: number): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  const { mode, uid, gid, uname, gname, mtimeNs, name, linkName } = header;
  const seconds = mtimeNs < 0n ? 0 : Number(mtimeNs / SECOND);
  const { prefix, rest } = splitName(name) ?? { prefix: '', rest: cut(name, NAME_MAX) };
  block.write(rest, 0, 'latin1');
  octal(block, 100, 8, mode & 0o7777);
  octal(block, 108, 8, Math.min(uid, ID_MAX));
  octal(block, 116, 8, Math.min(gid, ID_MAX));
  octal(block, 124, 12, Math.min(size, SIZE_MAX));
  octal(block, 136, 12, Math.min(seconds, SIZE_MAX));
  block.write(typeFlag, 156);
  block.write(cut(linkName, LINK_NAME_MAX), 157, 'latin1');
  block.write('ustar\x0000', 257);
  block.write(cut(uname, OWNER_NAME_MAX), 265, 'latin1');
  block.write(cut(gname, OWNER_NAME_MAX), 297, 'latin1');
  octal(block, 329, 8, 0);
  octal(block, 337, 8, 0);
  block.write(prefix, 345, 'latin1');
  // The sum counts its own place as spaces.
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
}

/** Into the two fields of a plain header, which a reader joins by a slash; undefined where it does not fit. */
function splitName(name: BytePath): { prefix: string; rest: string } | undefined {
  if (name.length <= NAME_MAX) return { prefix: '', rest: name };
  // The last slash may be that of a folder: something must come after it.
  const slash = name.lastIndexOf('/', Math.min(PREFIX_MAX, name.length - 2));
  const rest = name.slice(slash + 1);
  return slash < 1 || rest.length > NAME_MAX ? undefined : { prefix: name.slice(0, slash), rest };
}

/** What does not fit is in the extended header; this is for readers that know none. */
function cut(value: string, length: number): string {
  return value.slice(0, length);
}

function latin1(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Decimal seconds, without zeros at the end. */
function decimal(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % SECOND)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${size / SECOND}${fraction === '' ? '' : `.${fraction}`}`;
}
