import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { gunzip as gunzipCallback } from 'node:zlib';
import type { BytePath } from '../files/byte-path.js';
import { PACKED_STAT_SIZE } from '../files/stat.js';
import { PATH_OFFSET, standsInLine } from '../manifest/lines.js';
import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';

const gunzip = promisify(gunzipCallback);

/**
 * The catalog's entries: for each block of lines in the last manifest (a gzip member of it) a frame with, for each
 * line, what the file was like when it was read. The lines themselves stand in this machine's copy of the manifest,
 * so that a block in which nothing changed goes into the next manifest as the very bytes it was.
 *
 * Payload: records u32, length of the lines u32, member's offset in the manifest f64, its length u32, 16 bytes of its
 * SHA-256; then the records; then the paths that do not stand in their lines as they are. A record: packed stat
 * (72), SHA-256 of the content's only object (32), end of its line u32, path length u16, flags u8, 0, tag of the
 * reference (`ObjectTable.tag`) u32.
 */
const ENTRY_FRAME = 1;
const HEAD_SIZE = 36;
const STAT_AT = 0;
const SHA_AT = PACKED_STAT_SIZE;
const LINE_END_AT = SHA_AT + 32;
const PATH_LENGTH_AT = LINE_END_AT + 4;
const FLAGS_AT = PATH_LENGTH_AT + 2;
const TAG_AT = FLAGS_AT + 2;
const RECORD_SIZE = TAG_AT + 4;

/** What the stat says was settled when the content was read: an equal stat means equal content. */
export const SETTLED = 1;
/** The content is one object, and its SHA is in the record. */
export const ONE_OBJECT = 2;
/** The content is a list of blocks: their SHAs are in the line only. */
export const MANY_OBJECTS = 4;
const PATH_APART = 8;

const MEMBER_HASH_SIZE = 16;

function memberHash(member: Buffer): Buffer {
  return createHash('sha256').update(member).digest().subarray(0, MEMBER_HASH_SIZE);
}

/** Collects one block's records. */
export class BlockRecords {
  #count = 0;
  #bytes = Buffer.alloc(RECORD_SIZE * 64);
  #pathsApart: string[] = [];

  get count(): number {
    return this.#count;
  }

  /**
   * @param lineEnd where the entry's line ends in the block's lines
   * @param sha the only object's SHA-256 at `shaOffset`; undefined without {@link ONE_OBJECT}
   * @param tag of the reference to that object
   */
  add(
    path: BytePath,
    lineEnd: number,
    flags: number,
    stat: Buffer,
    statOffset: number,
    sha: Uint8Array | undefined,
    shaOffset: number,
    tag: number,
  ): void {
    const at = this.#count * RECORD_SIZE;
    if (at + RECORD_SIZE > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2);
    }
    const bytes = this.#bytes;
    stat.copy(bytes, at + STAT_AT, statOffset, statOffset + PACKED_STAT_SIZE);
    if (sha === undefined) bytes.fill(0, at + SHA_AT, at + LINE_END_AT);
    else bytes.set(sha.subarray(shaOffset, shaOffset + 32), at + SHA_AT);
    bytes.writeUInt32LE(lineEnd, at + LINE_END_AT);
    bytes.writeUInt16LE(path.length, at + PATH_LENGTH_AT);
    const apart = !standsInLine(path);
    if (apart) this.#pathsApart.push(path);
    bytes.writeUInt16LE(flags | (apart ? PATH_APART : 0), at + FLAGS_AT);
    bytes.writeUInt32LE(tag, at + TAG_AT);
    this.#count++;
  }

  payload(linesLength: number, memberStart: number, member: Buffer): Buffer {
    const head = Buffer.alloc(HEAD_SIZE);
    writeHead(head, this.#count, linesLength, memberStart, member.length, memberHash(member));
    const records = this.#bytes.subarray(0, this.#count * RECORD_SIZE);
    return Buffer.concat([head, records, Buffer.from(this.#pathsApart.join(''), 'latin1')]);
  }
}

function writeHead(
  head: Buffer,
  count: number,
  linesLength: number,
  memberStart: number,
  memberLength: number,
  hash: Uint8Array,
): void {
  head.writeUInt32LE(count, 0);
  head.writeUInt32LE(linesLength, 4);
  head.writeDoubleLE(memberStart, 8);
  head.writeUInt32LE(memberLength, 16);
  head.set(hash, 20);
}

/** A block of the last run, read back. */
export class EntryBlock {
  readonly count: number;
  readonly lines: Buffer;
  /** The manifest's gzip member that holds the lines. */
  readonly member: Buffer;
  /** The records; offsets below are into it. */
  readonly bytes: Buffer;
  readonly #pathsApartAt: number;

  constructor(payload: Buffer, member: Buffer, lines: Buffer) {
    this.bytes = payload;
    this.count = payload.readUInt32LE(0);
    this.member = member;
    this.lines = lines;
    this.#pathsApartAt = HEAD_SIZE + this.count * RECORD_SIZE;
  }

  flags(index: number): number {
    return this.bytes.readUInt8(this.#record(index) + FLAGS_AT);
  }

  statOffset(index: number): number {
    return this.#record(index) + STAT_AT;
  }

  shaOffset(index: number): number {
    return this.#record(index) + SHA_AT;
  }

  tag(index: number): number {
    return this.bytes.readUInt32LE(this.#record(index) + TAG_AT);
  }

  lineStart(index: number): number {
    return index === 0 ? 0 : this.lineEnd(index - 1);
  }

  lineEnd(index: number): number {
    return this.bytes.readUInt32LE(this.#record(index) + LINE_END_AT);
  }

  line(index: number): Buffer {
    return this.lines.subarray(this.lineStart(index), this.lineEnd(index));
  }

  /** All paths, in order. */
  paths(): BytePath[] {
    const paths: BytePath[] = [];
    let apartAt = this.#pathsApartAt;
    for (let index = 0; index < this.count; index++) {
      const record = this.#record(index);
      const length = this.bytes.readUInt16LE(record + PATH_LENGTH_AT);
      if ((this.bytes.readUInt8(record + FLAGS_AT) & PATH_APART) !== 0) {
        paths.push(this.bytes.toString('latin1', apartAt, apartAt + length) as BytePath);
        apartAt += length;
      } else {
        const start = this.lineStart(index) + PATH_OFFSET;
        paths.push(this.lines.toString('latin1', start, start + length) as BytePath);
      }
    }
    return paths;
  }

  /** The payload for the next catalog, where the whole block went into the next manifest unchanged. */
  payloadAt(memberStart: number): Buffer {
    const copy = Buffer.from(this.bytes);
    copy.writeDoubleLE(memberStart, 8);
    return copy;
  }

  #record(index: number): number {
    return HEAD_SIZE + index * RECORD_SIZE;
  }
}

export class EntryBlockWriter {
  readonly #frames: FrameWriter;

  constructor(path: string) {
    this.#frames = new FrameWriter(path);
  }

  write(payload: Buffer): void {
    this.#frames.write(ENTRY_FRAME, payload);
  }

  finish(): void {
    this.#frames.finish();
  }

  abandon(): void {
    this.#frames.abandon();
  }
}

/** Blocks decompressed ahead, on libuv's threads, of the one being joined. */
const AHEAD = 4;

/**
 * Reads the blocks in order. Throws {@link FramesDamaged} (or Node's error) at the first thing that is not as it was
 * written; all blocks before it were right.
 */
export async function* readEntryBlocks(
  entriesPath: string,
  manifestPath: string,
): AsyncGenerator<EntryBlock> {
  const frames = new FrameReader(entriesPath);
  let manifest: number | undefined;
  const ahead: Promise<EntryBlock>[] = [];
  try {
    manifest = openSync(manifestPath, 'r');
    for (;;) {
      while (ahead.length < AHEAD) {
        const frame = frames.next();
        if (frame === undefined) break;
        const block = openBlock(Buffer.from(frame.payload), manifest);
        block.catch(() => undefined); // seen when its turn comes
        ahead.push(block);
      }
      const next = ahead.shift();
      if (next === undefined) return;
      yield await next;
    }
  } finally {
    await Promise.allSettled(ahead);
    frames.close();
    if (manifest !== undefined) closeSync(manifest);
  }
}

async function openBlock(payload: Buffer, manifest: number): Promise<EntryBlock> {
  if (payload.length < HEAD_SIZE) throw new FramesDamaged('a block without its head');
  const linesLength = payload.readUInt32LE(4);
  const member = Buffer.allocUnsafe(payload.readUInt32LE(16));
  const got = readSync(manifest, member, 0, member.length, payload.readDoubleLE(8));
  if (got !== member.length || !memberHash(member).equals(payload.subarray(20, HEAD_SIZE))) {
    throw new FramesDamaged("this machine's copy of the last manifest does not match the catalog");
  }
  const lines = await gunzip(member, { maxOutputLength: Math.max(1, linesLength) });
  if (lines.length !== linesLength) throw new FramesDamaged('a block of another length than recorded');
  return new EntryBlock(payload, member, lines);
}
