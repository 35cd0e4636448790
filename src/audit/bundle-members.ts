import { createHash } from 'node:crypto';
import type { MemberRecord } from '../catalog/object-table.js';
import { SysbackupError } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import type { ObjectStore } from '../store/port.js';
import type { NamedMember } from './member-table.js';
import type { NamedBundle } from './named-content.js';
import { storedPieces } from './stored-pieces.js';
import { membersOfTar, type TarMember } from './tar-members.js';

/** What a bundle holds. */
export interface BundleMembers {
  /** Bytes of the tar. */
  bytes: number;
  /** Stored bytes of all members, named or not. */
  size: number;
  /** Those that were asked for. */
  members: (Omit<MemberRecord, 'bundle'> & { sha: Buffer })[];
}

/** No bundle of this program's comes near it: 32 MiB and the last member. */
const MOST_BYTES = 64 << 20;

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
  const what = versionName(bundle.key, bundle.version);
  const bytes = await readWhole(store, bundle, what, signal);
  if (!createHash('sha256').update(bytes).digest().equals(bundle.sha))
    throw damaged(`${what} holds other bytes than were stored`);
  const wanted = new Map<number, NamedMember[]>();
  for (const member of named) wanted.set(member.off, [...(wanted.get(member.off) ?? []), member]);
  let size = 0;
  const members: BundleMembers['members'] = [];
  for (const found of membersOfTar(bytes, what)) {
    size += found.len;
    for (const member of wanted.get(found.off) ?? []) members.push(proven(found, member, what));
    wanted.delete(found.off);
  }
  const [nowhere] = wanted.keys();
  if (nowhere !== undefined) throw otherwise(what, nowhere);
  return { bytes: bytes.length, size, members };
}

async function readWhole(
  store: Pick<ObjectStore, 'get'>,
  { key, version }: NamedBundle,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of storedPieces(store, key, version, signal)) {
    length += chunk.length;
    if (length > MOST_BYTES) throw damaged(`${what} is larger than any bundle`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function proven(
  found: TarMember,
  { off, len, enc, size, sha }: NamedMember,
  what: string,
): BundleMembers['members'][number] {
  const isIt =
    found.len === len && found.enc === enc && (sha === undefined || found.sha === sha.toString('hex'));
  if (!isIt) throw otherwise(what, off);
  const hash = createHash('sha256').update(found.content(size)).digest();
  if (hash.toString('hex') !== found.sha)
    throw damaged(`${what} has other bytes at its byte ${off} than the name there says`);
  return { sha: hash, off, len, enc };
}

function otherwise(what: string, off: number): SysbackupError {
  return damaged(`${what} has not the content that a run names at its byte ${off}`);
}

function damaged(message: string): SysbackupError {
  return new SysbackupError('DAMAGED', message, {
    hint: 'Verify the backups: s3-sysbackup verify --read-data.',
  });
}
