import { crc32 } from 'node:zlib';
import { deflateRuns } from './deflate-runs.js';

/** RFC 1952: deflate, no flags, no time, no hint, Unix. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
/** Bytes of a stored block at most (RFC 1951, 3.2.4). */
const STORED_BLOCK = 0xffff;

/** A gzip member of bytes that are mostly runs. */
export function gzipMemberOfRuns(bytes: Uint8Array): Uint8Array[] {
  return [HEADER, deflateRuns(bytes), trailer(bytes)];
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
  return [...pieces, trailer(bytes)];
}

function trailer(bytes: Uint8Array): Buffer {
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(bytes), 0);
  end.writeUInt32LE(bytes.length, 4);
  return end;
}
