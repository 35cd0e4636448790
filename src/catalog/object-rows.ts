import { releaseMemory } from '../release-memory.js';

/**
 * Rows of an object table as columns: the form in which a catalog's file holds them, so that reading a hundred thousand
 * is copying memory.
 */
export interface ObjectRows {
  count: number;
  /** SHA-256, 32 bytes each. */
  shas: Buffer;
  /** Encoding, and whether it is a bundle's member: as the table has them. */
  flags: Uint8Array;
  tags: Uint32Array;
  /** Of members the bundle's number; of other objects how long the version id is. */
  of: Uint32Array;
  /** Of members where the stored bytes begin in the tar; of other objects the end of the lock. */
  at: Uint32Array;
  /** How many stored bytes there are. */
  lens: Uint32Array;
  /** The version ids of all that are no members, one after another. */
  versions: Buffer;
}

const SHA_SIZE = 32;
/** SHA-256, flags, and four words. */
export const ROW_SIZE = SHA_SIZE + 1 + 4 * 4;

export function emptyRows(count: number, versionBytes: number): ObjectRows {
  return {
    count,
    shas: Buffer.alloc(count * SHA_SIZE),
    flags: new Uint8Array(count),
    tags: new Uint32Array(count),
    of: new Uint32Array(count),
    at: new Uint32Array(count),
    lens: new Uint32Array(count),
    versions: Buffer.alloc(versionBytes),
  };
}

/** Count u32, then the columns in the order of {@link ObjectRows}. */
export function packRows(rows: ObjectRows): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(rows.count);
  const words = [rows.tags, rows.of, rows.at, rows.lens].map((column) =>
    Buffer.from(column.buffer, column.byteOffset, column.byteLength),
  );
  return Buffer.concat([count, rows.shas, rows.flags, ...words, rows.versions]);
}

/** Frees the memory of rows that {@link emptyRows} made. They are not to be used any more. */
export function releaseRows({ shas, flags, tags, of, at, lens, versions }: ObjectRows): void {
  for (const column of [shas, flags, tags, of, at, lens, versions]) releaseMemory(column);
}

/** Undefined where the payload cannot be rows. */
export function unpackRows(payload: Buffer): ObjectRows | undefined {
  if (payload.length < 4) return undefined;
  const count = payload.readUInt32LE(0);
  const versionsAt = 4 + count * ROW_SIZE;
  if (versionsAt > payload.length) return undefined;
  let at = 4;
  const take = (bytes: number): Buffer => payload.subarray(at, (at += bytes));
  // Words need an address that the payload's place in a file does not give.
  const takeWords = (): Uint32Array => {
    const words = new Uint32Array(count);
    Buffer.from(words.buffer).set(take(count * 4));
    return words;
  };
  return {
    count,
    shas: take(count * SHA_SIZE),
    flags: take(count),
    tags: takeWords(),
    of: takeWords(),
    at: takeWords(),
    lens: takeWords(),
    versions: payload.subarray(versionsAt),
  };
}
