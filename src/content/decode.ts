import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gunzipSync } from 'node:zlib';
import type { Encoding } from '../config/compression.js';
import { messageOf, SysbackupError } from '../errors.js';
import { libdeflate } from './libdeflate.js';
import { requireZstdToRead } from './zstd.js';

/** Unpacked bytes at a time; each costs a trip to another thread. */
const CHUNK = 128 * 1024;

/** What is being decoded, for bounds and messages. */
export interface Expected {
  /** Length of the unencoded bytes as recorded. Undefined (only for streams): not known, no bound. */
  size: number | undefined;
  /** How messages call it: a key, with its version. */
  what: string;
}

/**
 * The unencoded form of `stored`, of exactly the recorded size. Throws DAMAGED where the bytes are cut short, are no
 * such encoding, have anything after their end, or unpack to more or less than recorded; never holds more than
 * that in memory. Throws SYSTEM for zstd where Node has none.
 */
export function decode(
  stored: Uint8Array,
  enc: Encoding | undefined,
  expected: Expected & { size: number },
): Uint8Array {
  let bytes = stored;
  if (enc !== undefined) {
    // zlib refuses a limit of 0
    const maxOutputLength = Math.max(1, expected.size);
    // A byte more than it should be, so that it comes in one piece.
    const limit = { info: true as const, maxOutputLength, chunkSize: Math.max(64, expected.size + 1) };
    let consumed: number;
    try {
      const quick = enc === 'gzip' ? quicklyUnpacked(stored, expected.size) : undefined;
      if (quick) return quick;
      const result =
        enc === 'gzip' ? gunzip(stored, limit) : requireZstdToRead().zstdDecompressSync(stored, limit);
      bytes = result.buffer;
      consumed = result.engine.bytesWritten;
    } catch (error) {
      throw asDamaged(error, enc, expected);
    }
    if (consumed !== stored.length) throw trailing(expected);
  }
  if (bytes.length !== expected.size) throw wrongSize(expected, bytes.length);
  return bytes;
}

/** By libdeflate, in half of zlib's time. Undefined where there is none, or anything is wrong: zlib tells what. */
function quicklyUnpacked(stored: Uint8Array, size: number): Uint8Array | undefined {
  const library = libdeflate();
  if (!library) return undefined;
  const bytes = Buffer.allocUnsafeSlow(size);
  return library.gunzip(stored, bytes) ? bytes : undefined;
}

/** Like {@link decode} for bytes that come in pieces; what fails, fails at the latest when the last piece is asked for. */
export async function* decodeStream(
  source: AsyncIterable<Uint8Array>,
  enc: Encoding | undefined,
  expected: Expected,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of enc === undefined ? source : decompress(source, enc, expected)) {
    size += piece.length;
    if (expected.size !== undefined && size > expected.size) throw tooLong(expected);
    yield piece;
  }
  if (expected.size !== undefined && size !== expected.size) throw wrongSize(expected, size);
}

async function* decompress(
  source: AsyncIterable<Uint8Array>,
  enc: Encoding,
  expected: Expected,
): AsyncGenerator<Uint8Array> {
  const codec =
    enc === 'gzip' ? createGunzip({ chunkSize: CHUNK }) : requireZstdToRead().createZstdDecompress();
  let fed = 0;
  let sourceError: unknown;
  const counted = async function* () {
    try {
      for await (const piece of source) {
        fed += piece.length;
        yield piece;
      }
    } catch (error) {
      sourceError = error;
      throw error;
    }
  };
  const feeding = pipeline(Readable.from(counted(), { objectMode: false }), codec);
  // Its failure is the codec's failure too, which the loop below throws.
  feeding.catch(() => undefined);
  try {
    for await (const piece of codec) yield piece;
    await feeding;
  } catch (error) {
    throw sourceError === undefined ? asDamaged(error, enc, expected) : error;
  }
  if (codec.bytesWritten !== fed) throw trailing(expected);
}

/** The types of `info: true` are missing from Node's. */
function gunzip(bytes: Uint8Array, options: { info: true; maxOutputLength: number; chunkSize: number }) {
  return gunzipSync(bytes, options) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
}

function asDamaged(error: unknown, enc: Encoding, expected: Expected): SysbackupError {
  if (error instanceof SysbackupError) return error;
  if (error instanceof RangeError) return tooLong(expected);
  return damaged(`${expected.what} is no whole ${enc} stream: ${messageOf(error)}`, error);
}

function tooLong(expected: Expected): SysbackupError {
  return damaged(`${expected.what} unpacks to more than the ${expected.size} bytes recorded`);
}

function wrongSize(expected: Expected, size: number): SysbackupError {
  return damaged(`${expected.what} unpacks to ${size} bytes where ${expected.size} are recorded`);
}

function trailing(expected: Expected): SysbackupError {
  return damaged(`${expected.what} has bytes after the end of its encoded content`);
}

/** Stored bytes are not those of a content: what to do is the same whatever shows it. */
export function damaged(message: string, cause?: unknown): SysbackupError {
  return new SysbackupError('DAMAGED', message, {
    hint: 'The stored bytes are not what was backed up; restore from another run, and verify this one.',
    cause,
  });
}
