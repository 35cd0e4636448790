import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Encoding, GzipLibrary } from '../config/compression.js';
import { isAlreadyCompressed, isSurelyCompressible } from './already-compressed.js';
import { requireLibdeflate } from './libdeflate.js';
import { releaseOnlyView } from '../release-memory.js';
import { Scratch } from './scratch.js';
import { requireZstd, ZSTD_LEVEL_PARAMETER } from './zstd.js';

export interface Compression {
  compression: Encoding | 'none';
  /** 1 to 9 for gzip, 1 to 22 for zstd. */
  level: number;
  /** What compresses with gzip. Default zlib, Node's own. */
  gzipLibrary?: GzipLibrary;
}

export interface EncodedBytes {
  /** What to store; the very bytes given where they are stored as they are. Compressed ones are valid until the next call. */
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
/** From here on what Node compresses to has memory of its own, which is not left to the garbage collector. */
const LARGE = 64 * 1024;
/** libdeflate keeps a few bytes of its output free. */
const ROOM = 64;
/** Under this, gzip's own 18 bytes leave nothing to win. */
const SMALLEST_WORTHWHILE = 24;

/**
 * Encodes one block: compressed where that makes it at least 10 % smaller, as it is otherwise. The same bytes give
 * the same result from the same library: there is no time in gzip's header (RFC 1952, MTIME 0).
 *
 * Throws CONFIG for zstd where Node has none, and for libdeflate where the system has none.
 */
export function encode(bytes: Uint8Array, how: Compression, withMd5 = true): EncodedBytes {
  let stored = bytes;
  let enc: Encoding | undefined;
  if (looksCompressible(bytes, how)) {
    const compressed = compress(bytes, how, how.level, mostKept(bytes.length));
    if (compressed !== undefined) {
      stored = compressed;
      enc = how.compression;
    }
  }
  return { bytes: stored, enc, md5: withMd5 ? hash('md5', stored) : undefined };
}

type Compressing = Compression & { compression: Encoding };

function looksCompressible(bytes: Uint8Array, how: Compression): how is Compressing {
  if (how.compression === 'none' || bytes.length < SMALLEST_WORTHWHILE) return false;
  if (bytes.length < PROBED_FROM) return !isAlreadyCompressed(bytes);
  const sample = sampleOf(bytes);
  return (
    isSurelyCompressible(sample) ||
    compress(sample, how as Compressing, 1, Math.floor(sample.length * PROMISING)) !== undefined
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

const output = new Scratch();

/** How long the compressed form of so many bytes may be to be stored in their place: a tenth has to be gained. */
export function mostKept(length: number): number {
  return Math.floor((length * 9) / 10);
}

/** Undefined where the result is longer than `most`. It is valid until the next call. */
function compress(bytes: Uint8Array, how: Compressing, level: number, most: number): Uint8Array | undefined {
  if (how.compression === 'gzip' && how.gzipLibrary === 'libdeflate') {
    const to = output.bytes(most + ROOM);
    const length = requireLibdeflate().gzip(bytes, level, to);
    return length > 0 && length <= most ? to.subarray(0, length) : undefined;
  }
  // One output chunk that holds all that would be kept; the default of 16 KiB means thousands of joins.
  const chunkSize = Math.max(64, most);
  const compressed =
    how.compression === 'gzip'
      ? gzipSync(bytes, { level, chunkSize })
      : requireZstd().zstdCompressSync(bytes, { chunkSize, params: { [ZSTD_LEVEL_PARAMETER]: level } });
  if (compressed.length > most) return undefined;
  if (compressed.length < LARGE) return compressed;
  const kept = output.bytes(compressed.length);
  kept.set(compressed);
  releaseOnlyView(compressed);
  return kept;
}
