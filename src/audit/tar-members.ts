import { inflateRawSync } from 'node:zlib';
import type { Encoding } from '../config/compression.js';
import { decode } from '../content/decode.js';
import { messageOf, SysbackupError } from '../errors.js';

/** A member of a bundle. */
export interface TarMember {
  /** Where its stored bytes begin in the bundle, and how many they are. */
  off: number;
  len: number;
  enc: Encoding | undefined;
  /** What it is named by. */
  sha: string;
  /** The content, of just this length. Throws DAMAGED. */
  content: (size: number) => Uint8Array;
}

/** A tar's unit (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 512;
const NAME = /^([0-9a-f]{64})(\.gz|\.zst)?$/;
const SUFFIXES = new Map<string | undefined, Encoding>([
  ['.gz', 'gzip'],
  ['.zst', 'zstd'],
]);
/** Of a gzip member without a name and such (RFC 1952): what it begins with, and what is around the deflated bytes. */
const GZIP_START = Buffer.from([0x1f, 0x8b, 8, 0]);
const GZIP_HEADER = 10;
const GZIP_TRAILER = 8;
/** Of a content in a bundle: `bundle_below` may be 16 MiB. */
const LONGEST = 16 << 20;

/** The members of a bundle in order, whether it is compressed or not. Throws DAMAGED where it is no such tar. */
export function membersOfTar(bytes: Buffer, what: string): Generator<TarMember> {
  return bytes[0] === GZIP_START[0] ? compressed(bytes, what) : plain(bytes, what);
}

function* plain(bytes: Buffer, what: string): Generator<TarMember> {
  for (let at = 0; at + RECORD <= bytes.length && bytes[at] !== 0; ) {
    const { sha, suffix, size: len } = readHeader(bytes.subarray(at, at + RECORD), what, at);
    const off = at + RECORD;
    if (off + len > bytes.length) throw noTar(what, at);
    const enc = SUFFIXES.get(suffix);
    const stored = bytes.subarray(off, off + len);
    yield { off, len, enc, sha, content: (size) => decode(stored, enc, { size, what }) };
    at = off + len + fillingOf(len);
  }
}

/** What stands between two contents is a gzip member, and each content another. */
function* compressed(bytes: Buffer, what: string): Generator<TarMember> {
  let filling = 0;
  for (let at = 0; ; ) {
    const between = unpackAt(bytes, at, filling + 2 * RECORD, what);
    const off = at + between.length;
    const header = between.content.subarray(filling);
    if (header[0] === 0) return;
    if (header.length !== RECORD) throw noTar(what, at);
    const { sha, suffix, size } = readHeader(header, what, at);
    const { length: len, content } = unpackAt(bytes, off, LONGEST, what);
    if (suffix !== undefined || content.length !== size) throw noTar(what, at);
    yield {
      off,
      len,
      enc: 'gzip',
      sha,
      content: (expected) => {
        if (expected !== size) throw noTar(what, off);
        return content;
      },
    };
    filling = fillingOf(size);
    at = off + len;
  }
}

/** One gzip member: what it unpacks to, and how long it is itself. */
function unpackAt(
  bytes: Buffer,
  at: number,
  most: number,
  what: string,
): { content: Buffer; length: number } {
  if (!bytes.subarray(at, at + GZIP_START.length).equals(GZIP_START)) throw noTar(what, at);
  try {
    const { buffer, engine } = inflate(bytes.subarray(at + GZIP_HEADER), {
      info: true,
      maxOutputLength: most,
    });
    return { content: buffer, length: GZIP_HEADER + engine.bytesWritten + GZIP_TRAILER };
  } catch (error) {
    throw noTar(what, at, messageOf(error));
  }
}

/** The types of `info: true` are missing from Node's. */
function inflate(bytes: Uint8Array, options: { info: true; maxOutputLength: number }) {
  return inflateRawSync(bytes, options) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
}

function readHeader(
  header: Buffer,
  what: string,
  at: number,
): { sha: string; suffix: string | undefined; size: number } {
  const name = header.toString('latin1', 0, 100).replace(/\0.*$/s, '');
  const [, sha, suffix] = NAME.exec(name) ?? [];
  const size = Number.parseInt(header.toString('latin1', 124, 136), 8);
  if (sha === undefined || !(size >= 0)) throw noTar(what, at);
  return { sha, suffix, size };
}

function fillingOf(length: number): number {
  return (RECORD - (length % RECORD)) % RECORD;
}

function noTar(what: string, at: number, reason?: string): SysbackupError {
  const why = reason === undefined ? '' : ` (${reason})`;
  return new SysbackupError('DAMAGED', `${what} is no tar of contents: see its byte ${at}${why}`, {
    hint: 'Verify the backups: s3-sysbackup verify --read-data.',
  });
}
