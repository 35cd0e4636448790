import { crc32 } from 'node:zlib';
import { deflateRuns, roomForRuns } from './deflate-runs.js';

/** RFC 1952: deflate, no flags, no time, no hint, Unix. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
/** CRC-32 and length. */
const TRAILER = 8;
/** Bytes of a stored block at most (RFC 1951, 3.2.4). */
const STORED_BLOCK = 0xffff;

/** What {@link gzipMemberOfRuns} writes to: there is one for each file. */
let output = Buffer.alloc(0);

/** A gzip member of bytes that are mostly runs. Valid until the next call. */
export function gzipMemberOfRuns(bytes: Uint8Array): Uint8Array {
  const room = HEADER.length + roomForRuns(bytes.length) + TRAILER;
  if (output.length < room) {
    output = Buffer.alloc(room);
    HEADER.copy(output);
  }
  const end = deflateRuns(bytes, output, HEADER.length);
  writeTrailer(bytes, output, end);
  return output.subarray(0, end + TRAILER);
}

/** A gzip member that holds the bytes as they are, in pieces: for what does not compress. */
export function storedGzipMember(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [HEADER];
  let at = 0;
  do {
    const block = bytes.subarray(at, at + STORED_BLOCK);
    at += block.length;
    const head = Buffer.alloc(5);
    head.writeUInt8(at === bytes.length ? 1 : 0);
    head.writeUInt16LE(block.length, 1);
    head.writeUInt16LE(block.length ^ 0xffff, 3);
    pieces.push(head, block);
  } while (at < bytes.length);
  const end = Buffer.alloc(TRAILER);
  writeTrailer(bytes, end, 0);
  pieces.push(end);
  return pieces;
}

function writeTrailer(bytes: Uint8Array, to: Buffer, at: number): void {
  to.writeUInt32LE(crc32(bytes), at);
  to.writeUInt32LE(bytes.length, at + 4);
}
