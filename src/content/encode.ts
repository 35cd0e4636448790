import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Encoding } from '../config/compression.js';
import { isAlreadyCompressed, isSurelyCompressible } from './already-compressed.js';
import { requireZstd, ZSTD_LEVEL_PARAMETER } from './zstd.js';

export interface Compression {
  compression: Encoding | 'none';
  /** 1 to 9 for gzip, 1 to 22 for zstd. */
  level: number;
}

export interface EncodedBytes {
  /** What to store; the very bytes given where they are stored as they are. */
  bytes: Uint8Array;
  enc: Encoding | undefined;
  /** Of `bytes`, in hex: what the store's ETag is compared with. Undefined where it was not wanted. */
  md5: string | undefined;
}

/** Up to here compressing costs less than finding out whether it pays. */
const PROBED_FROM = 64 * 1024;
/** The probe looks at pieces from all over the block: 2 to 3 ms, where compressing 16 MiB costs half a second. */
const SAMPLE_PIECE = 4 * 1024;
const SAMPLE_PIECES = 32;
/** A fast level over short pieces does worse than the real one over the whole, hence not 0.9. */
const PROMISING = 0.96;
/** Under this, gzip's own 18 bytes leave nothing to win. */
const SMALLEST_WORTHWHILE = 24;

/**
 * Encodes one block: compressed where that makes it at least 10 % smaller, as it is otherwise. The same bytes give
 * the same result: there is no time in gzip's header (RFC 1952, MTIME 0).
 *
 * Throws CONFIG for zstd where Node has none.
 */
export function encode(bytes: Uint8Array, how: Compression, withMd5 = true): EncodedBytes {
  if (looksCompressible(bytes, how)) {
    const compressed = compress(bytes, how.compression, how.level);
    if (compressed.length * 10 <= bytes.length * 9)
      return { bytes: compressed, enc: how.compression, md5: withMd5 ? hash('md5', compressed) : undefined };
  }
  return { bytes, enc: undefined, md5: withMd5 ? hash('md5', bytes) : undefined };
}

function looksCompressible(
  bytes: Uint8Array,
  how: Compression,
): how is { compression: Encoding; level: number } {
  if (how.compression === 'none' || bytes.length < SMALLEST_WORTHWHILE) return false;
  if (bytes.length < PROBED_FROM) return !isAlreadyCompressed(bytes);
  const sample = sampleOf(bytes);
  return (
    isSurelyCompressible(sample) || compress(sample, how.compression, 1).length <= sample.length * PROMISING
  );
}

/** At least half of a short block, so that what repeats within gzip's window shows. */
function sampleOf(bytes: Uint8Array): Uint8Array {
  const sample = Buffer.allocUnsafe(SAMPLE_PIECE * SAMPLE_PIECES);
  if (bytes.length <= sample.length) return bytes;
  const stride = (bytes.length - SAMPLE_PIECE) / (SAMPLE_PIECES - 1);
  for (let piece = 0; piece < SAMPLE_PIECES; piece++) {
    const from = Math.floor(piece * stride);
    sample.set(bytes.subarray(from, from + SAMPLE_PIECE), piece * SAMPLE_PIECE);
  }
  return sample;
}

function compress(bytes: Uint8Array, encoding: Encoding, level: number): Buffer {
  // One output chunk that holds all that would be kept; the default of 16 KiB means thousands of joins.
  const chunkSize = Math.max(64, Math.ceil(bytes.length * 0.9));
  if (encoding === 'gzip') return gzipSync(bytes, { level, chunkSize });
  return requireZstd().zstdCompressSync(bytes, { chunkSize, params: { [ZSTD_LEVEL_PARAMETER]: level } });
}
