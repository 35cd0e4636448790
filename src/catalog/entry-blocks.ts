import { closeSync, openSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { BytePath } from '../files/byte-path.js';
import { PACKED_STAT_SIZE } from '../files/stat.js';
import { type Member, memberHash } from '../manifest/member.js';
import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';

/**
 * The catalog's entries: for each block of lines in the last manifest (a gzip member of it) a frame with, for each
 * line, what the file was like when it was read. The lines themselves stand in this machine's copy of the manifest,
 * so that a block in which nothing changed goes into the next manifest as the very bytes it was.
 *
 * Payload: records u32, length of the lines u32, member's offset in the manifest f64, its length u32, 16 bytes of its
 * SHA-256; then the records; then the paths, with a NUL between two. A record: packed stat (72), SHA-256 of the
 * content's only object (32), end of its line u32, flags u32, tag of the reference (`ObjectTable.tag`) u32.
 */
const ENTRY_FRAME = 2;
const HEAD_SIZE = 36;
const STAT_AT = 0;
const SHA_AT = PACKED_STAT_SIZE;
const LINE_END_AT = SHA_AT + 32;
const FLAGS_AT = LINE_END_AT + 4;
const TAG_AT = FLAGS_AT + 4;
const RECORD_SIZE = TAG_AT + 4;

/** What the stat says was settled when the content was read: an equal stat means equal content. */
export const SETTLED = 1;
/** The content is one object, and its SHA is in the record. */
export const ONE_OBJECT = 2;
/** The content is a list of blocks: their SHAs are in the line only. */
export const MANY_OBJECTS = 4;

const SEPARATOR = '\0';

/** Collects one block's records. */
export class BlockRecords {
  #count = 0;
  #bytes = Buffer.alloc(RECORD_SIZE * 64);
  readonly #paths: BytePath[] = [];

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
    bytes.writeUInt32LE(flags, at + FLAGS_AT);
    bytes.writeUInt32LE(tag, at + TAG_AT);
    this.#paths.push(path);
    this.#count++;
  }

  payload(linesLength: number, { start, length, hash }: Member): Buffer {
    const head = Buffer.alloc(HEAD_SIZE);
    head.writeUInt32LE(this.#count, 0);
    head.writeUInt32LE(linesLength, 4);
    head.writeDoubleLE(start, 8);
    head.writeUInt32LE(length, 16);
    head.set(hash, 20);
    const records = this.#bytes.subarray(0, this.#count * RECORD_SIZE);
    return Buffer.concat([head, records, Buffer.from(this.#paths.join(SEPARATOR), 'latin1')]);
  }
}

/** A block of the last run, read back. */
export class EntryBlock {
  readonly count: number;
  /** The manifest's gzip member that holds the lines. */
  readonly member: Buffer;
  readonly linesLength: number;
  /** The records; offsets below are into it. */
  readonly bytes: Buffer;
  /** The same memory in words; an offset divided by four is the place in it. */
  readonly words: Int32Array;
  #lines: Buffer | undefined;

  /** @param payload at an address that words can have */
  constructor(payload: Buffer, member: Buffer) {
    this.bytes = payload;
    this.words = new Int32Array(payload.buffer, payload.byteOffset, payload.length >> 2);
    this.count = payload.readUInt32LE(0);
    this.linesLength = payload.readUInt32LE(4);
    this.member = member;
  }

  /** Unpacked only when asked for: a block that is carried over whole never is, here. */
  get lines(): Buffer {
    this.#lines ??= unpacked(this.member, this.linesLength);
    return this.#lines;
  }

  flags(index: number): number {
    return this.words[(this.#record(index) + FLAGS_AT) >> 2] ?? 0;
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

  /** All paths in order, with a NUL between two. */
  pathsText(): string {
    return this.bytes.toString('latin1', HEAD_SIZE + this.count * RECORD_SIZE);
  }

  /** All paths, in order. */
  paths(): BytePath[] {
    return this.pathsText().split(SEPARATOR) as BytePath[];
  }

  /** The payload for the next catalog, where the whole block went into the next manifest unchanged. Ends this block. */
  movedTo(memberStart: number): Buffer {
    this.bytes.writeDoubleLE(memberStart, 8);
    return this.bytes;
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

/**
 * Reads the blocks in order. Throws {@link FramesDamaged} (or Node's error) at the first thing that is not as it was
 * written; all blocks before it were right.
 */
export function* readEntryBlocks(entriesPath: string, manifestPath: string): Generator<EntryBlock> {
  const frames = new FrameReader(entriesPath);
  let manifest: number | undefined;
  try {
    manifest = openSync(manifestPath, 'r');
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      yield openBlock(frame.payload, manifest);
    }
  } finally {
    frames.close();
    if (manifest !== undefined) closeSync(manifest);
  }
}

function openBlock(payload: Buffer, manifest: number): EntryBlock {
  if (payload.length < HEAD_SIZE) throw new FramesDamaged('a block without its head');
  const member = Buffer.allocUnsafeSlow(payload.readUInt32LE(16));
  const got = readSync(manifest, member, 0, member.length, payload.readDoubleLE(8));
  if (got !== member.length || !memberHash(member).equals(payload.subarray(20, HEAD_SIZE))) {
    throw new FramesDamaged("this machine's copy of the last manifest does not match the catalog");
  }
  return new EntryBlock(payload, member);
}

function unpacked(member: Buffer, length: number): Buffer {
  const lines = gunzipSync(member, { maxOutputLength: Math.max(1, length) });
  if (lines.length !== length) throw new FramesDamaged('a block of another length than recorded');
  return lines;
}
