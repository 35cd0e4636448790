import { crc32, deflateRawSync } from 'node:zlib';

/** RFC 1952: deflate, no flags, no time, no hint, Unix. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
/** Bytes of a stored block at most (RFC 1951, 3.2.4). */
const STORED_BLOCK = 0xffff;
/** Small tables: most of the time for so few bytes goes into clearing them. */
const FEW_BYTES = { level: 6, windowBits: 10, memLevel: 1 } as const;

/** A gzip member of a few hundred bytes. */
export function gzipMember(bytes: Buffer): Buffer {
  return Buffer.concat([HEADER, deflateRawSync(bytes, FEW_BYTES), trailer(bytes)]);
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
