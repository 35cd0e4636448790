import type { Encoding } from '../config/compression.js';
import type { UnprovenContent, UnprovenRecord } from './unproven-content.js';

const ENCODING_CODES: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
/**
 * SHA-256, end of the lock u32, encoding and length of the version id u16 (2 bits, the upper 6 of the length, its lower
 * 8), stored size f64, MD5; then the version id.
 */
const HEAD = 62;
const ENCODING_BITS = 2;
const ROWS_PER_PIECE = 4096;

/** All of it, in pieces for {@link readUnproven}. */
export function* unprovenPieces(unproven: UnprovenContent): Generator<Buffer> {
  let rows: Buffer[] = [];
  for (const record of unproven.records()) {
    rows.push(packed(record));
    if (rows.length < ROWS_PER_PIECE) continue;
    yield Buffer.concat(rows);
    rows = [];
  }
  if (rows.length > 0) yield Buffer.concat(rows);
}

function packed(record: UnprovenRecord & { sha: Buffer }): Buffer {
  const version = Buffer.from(record.version, 'latin1');
  const bytes = Buffer.alloc(HEAD + version.length);
  record.sha.copy(bytes, 0);
  bytes.writeUInt32LE(record.until, 32);
  bytes.writeUInt8(ENCODING_CODES.indexOf(record.enc) | ((version.length >> 8) << ENCODING_BITS), 36);
  bytes.writeUInt8(version.length & 0xff, 37);
  bytes.writeDoubleLE(record.size, 38);
  record.md5.copy(bytes, 46);
  version.copy(bytes, HEAD);
  return bytes;
}

export function readUnproven(piece: Buffer, unproven: UnprovenContent): void {
  for (let at = 0; at < piece.length; ) {
    const versionAt = at + HEAD;
    const packed = piece.readUInt8(at + 36);
    const versionLength = ((packed >> ENCODING_BITS) << 8) | piece.readUInt8(at + 37);
    unproven.add(piece, at, {
      until: piece.readUInt32LE(at + 32),
      enc: ENCODING_CODES[packed & ((1 << ENCODING_BITS) - 1)],
      size: piece.readDoubleLE(at + 38),
      md5: piece.subarray(at + 46, versionAt),
      version: piece.toString('latin1', versionAt, versionAt + versionLength),
    });
    at = versionAt + versionLength;
  }
}
