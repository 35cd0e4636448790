import { createHash } from 'node:crypto';

/** A gzip member of a manifest, which holds a block of its lines. */
export interface Member {
  length: number;
  /** {@link memberHash} of its bytes. */
  hash: Uint8Array;
}

const MEMBER_HASH_SIZE = 16;

/** What a member is known again by: the first half of its SHA-256. */
export function memberHash(member: Uint8Array): Buffer {
  return createHash('sha256').update(member).digest().subarray(0, MEMBER_HASH_SIZE);
}
