import { createHash } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import type { MemberRecord } from '../catalog/object-table.js';
import type { Encoding } from '../config/compression.js';
import { decode } from '../content/decode.js';
import { SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';
import type { NamedMember } from './member-table.js';
import type { NamedBundle } from './named-content.js';

/** What a bundle holds. */
export interface BundleMembers {
  /** Bytes of the tar. */
  bytes: number;
  /** Stored bytes of all members, named or not. */
  size: number;
  /** Those that were asked for. */
  members: (Omit<MemberRecord, 'bundle'> & { sha: Buffer })[];
}

/** A tar's unit (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 512;
const NAME = /^([0-9a-f]{64})(\.gz|\.zst)?$/;
const SUFFIXES = new Map<string | undefined, Encoding>([
  ['.gz', 'gzip'],
  ['.zst', 'zstd'],
]);
/** No bundle of this program's comes near it: 32 MiB and the last member. */
const MOST_BYTES = 64 << 20;

interface Place {
  len: number;
  sha: string;
  enc: Encoding | undefined;
}

/**
 * Reads a bundle whole and proves what a manifest names of it: the tar is the one its key says, has a member at each
 * place, and each member unpacks to the content whose SHA-256 it is named by. Holds the bundle in memory. Throws
 * DAMAGED, and what the store throws.
 */
export async function readBundle(
  store: Pick<ObjectStore, 'get'>,
  bundle: NamedBundle,
  named: Iterable<NamedMember>,
  signal: AbortSignal | undefined,
): Promise<BundleMembers> {
  const what = `${bundle.key} (version ${bundle.version})`;
  const bytes = await readWhole(store, bundle, what, signal);
  if (!createHash('sha256').update(bytes).digest().equals(bundle.sha))
    throw damaged(`${what} holds other bytes than were stored`);
  const places = placesOf(bytes, what);
  let size = 0;
  for (const { len } of places.values()) size += len;
  const members: BundleMembers['members'] = [];
  for (const member of named) members.push(provenMember(bytes, places.get(member.off), member, what));
  return { bytes: bytes.length, size, members };
}

async function readWhole(
  store: Pick<ObjectStore, 'get'>,
  { key, version }: NamedBundle,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const stored = await store.get(key, version);
  if (signal !== undefined) addAbortSignal(signal, stored);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stored) {
    length += (chunk as Buffer).length;
    if (length > MOST_BYTES) throw damaged(`${what} is larger than any bundle`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks, length);
}

/** The members of a tar by where their bytes begin. */
function placesOf(bytes: Buffer, what: string): Map<number, Place> {
  const places = new Map<number, Place>();
  for (let at = 0; at + RECORD <= bytes.length && bytes[at] !== 0; ) {
    const name = bytes.toString('latin1', at, at + 100).replace(/\0.*$/s, '');
    const [, sha, suffix] = NAME.exec(name) ?? [];
    const len = Number.parseInt(bytes.toString('latin1', at + 124, at + 136), 8);
    const off = at + RECORD;
    if (sha === undefined || !(len >= 0) || off + len > bytes.length)
      throw damaged(`${what} is no tar of contents: see its byte ${at}`);
    places.set(off, { len, sha, enc: SUFFIXES.get(suffix) });
    at = off + Math.ceil(len / RECORD) * RECORD;
  }
  return places;
}

function provenMember(
  bytes: Buffer,
  place: Place | undefined,
  { off, len, enc, size, sha }: NamedMember,
  what: string,
): BundleMembers['members'][number] {
  const isThere =
    place !== undefined &&
    place.len === len &&
    place.enc === enc &&
    (sha === undefined || place.sha === sha.toString('hex'));
  if (!isThere) throw damaged(`${what} has not the content that a run names at its byte ${off}`);
  const content = decode(bytes.subarray(off, off + len), enc, { size, what });
  const found = createHash('sha256').update(content).digest();
  if (found.toString('hex') !== place.sha)
    throw damaged(`${what} has other bytes at its byte ${off} than the name there says`);
  return { sha: found, off, len, enc };
}

function damaged(message: string): SysbackupError {
  return new SysbackupError('DAMAGED', message, {
    hint: 'Verify the backups: s3-sysbackup verify --read-data.',
  });
}
