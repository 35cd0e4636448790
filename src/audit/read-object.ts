import { createHash } from 'node:crypto';
import { decodeStream } from '../content/decode.js';
import { SysbackupError } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import { headOfOlder } from '../manifest/older-object.js';
import type { ObjectStore } from '../store/port.js';
import { storedPieces } from './stored-pieces.js';
import type { VersionTable } from './version-table.js';

/**
 * Reads a version whole and hashes what it holds. Resolves to the bytes unpacked; never holds more than a few pieces
 * of them. Throws DAMAGED where the hash is another, the bytes are no such encoding, or there are more than any
 * manifest says; and what the store throws.
 */
export async function readObject(
  store: Pick<ObjectStore, 'get' | 'head'>,
  table: VersionTable,
  row: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const key = table.key(row);
  const version = table.version(row);
  const what = versionName(key, version);
  const expected = table.sha(row);
  const said = table.encoding(row);
  const isOlder = said === 'metadata';
  // A bundle's length is in no manifest; everything else unpacks to what an entry says, but in the older format.
  const most = isOlder || table.kind(row) === 'bundle' ? Number.POSITIVE_INFINITY : (table.size[row] ?? 0);
  const encoding = isOlder ? (await headOfOlder(store, { key, ver: version })).enc : said;
  const stored = storedPieces(store, key, version, signal);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of decodeStream(stored, encoding, { size: undefined, what })) {
    bytes += piece.length;
    if (bytes > most)
      throw new SysbackupError('DAMAGED', `${what} unpacks to more than the ${most} bytes recorded`);
    hash.update(piece);
  }
  const found = hash.digest('hex');
  if (expected !== undefined && found !== expected)
    throw new SysbackupError(
      'DAMAGED',
      `${what} holds other bytes than were stored: their SHA-256 is ${found}`,
    );
  return bytes;
}
