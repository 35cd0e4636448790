import { gunzipSync } from 'node:zlib';
import { type BytePath, parentOf } from '../files/byte-path.js';
import { PACKED_STAT_SIZE, PACKED_STAT_WORDS } from '../files/stat.js';
import { type Member, memberHash } from '../manifest/member.js';
import { OwnMemory } from '../own-memory.js';
import { type FramePlace, FramesDamaged, FrameWriter } from './frames.js';

/**
 * The catalog's entries: for each block of lines in the last manifest (a gzip member of it) a frame with, for each
 * line, what the file was like when it was read. The lines themselves stand in this machine's copy of the manifest,
 * so that a block in which nothing changed goes into the next manifest as the very bytes it was.
 *
 * Payload: records u32, length of the lines u32, length of the member u32, 16 bytes of its SHA-256; then the records; then the paths, each followed by a NUL. A record: packed stat (72), SHA-256 of the
 * content's only object (32), end of its line u32, flags u32, tag of the reference (`ObjectTable.tag`) u32, end of its
 * path among the paths u32, and which of the block's folders it is in u32 (the first is 0).
 */
export const ENTRY_FRAME = 2;
export const BLOCK_HEAD_SIZE = 28;
const STAT_AT = 0;
const SHA_AT = PACKED_STAT_SIZE;
const LINE_END_AT = SHA_AT + 32;
const FLAGS_AT = LINE_END_AT + 4;
const TAG_AT = FLAGS_AT + 4;
const PATH_END_AT = TAG_AT + 4;
const FOLDER_AT = PATH_END_AT + 4;
const RECORD_SIZE = FOLDER_AT + 4;

/** What the stat says was settled when the content was read: an equal stat means equal content. */
export const SETTLED = 1;
/** The content is one object, and its SHA is in the record. */
export const ONE_OBJECT = 2;
/** The content is a list of blocks: their SHAs are in the line only. */
export const MANY_OBJECTS = 4;
/**
 * The entry was made, or made again, by a program that reads files of stated size 0, names links by `FileStat.linkId`
 * and knows {@link DOUBTFUL}. The first previews did nothing of that.
 */
export const CURRENT = 8;

/** The entry carries warnings: the copy may not be what the file was at any one time. */
export const DOUBTFUL = 16;

/** Where the paths begin in the payload of a block of so many records. */
export function pathsAt(count: number): number {
  return BLOCK_HEAD_SIZE + count * RECORD_SIZE;
}

/** Collects one block's records. */
export class BlockRecords {
  #count = 0;
  #bytes = Buffer.alloc(RECORD_SIZE * 64);
  readonly #paths: BytePath[] = [];
  #pathsEnd = 0;
  readonly #folders = new Map<BytePath, number>();

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
    this.#pathsEnd += path.length;
    bytes.writeUInt32LE(this.#pathsEnd++, at + PATH_END_AT);
    bytes.writeUInt32LE(this.#folder(parentOf(path)), at + FOLDER_AT);
    this.#paths.push(path);
    this.#count++;
  }

  payload(linesLength: number, { length, hash }: Member): Buffer {
    const head = Buffer.alloc(BLOCK_HEAD_SIZE);
    head.writeUInt32LE(this.#count, 0);
    head.writeUInt32LE(linesLength, 4);
    head.writeUInt32LE(length, 8);
    head.set(hash, 12);
    const records = this.#bytes.subarray(0, this.#count * RECORD_SIZE);
    const paths = this.#paths.map((path) => `${path}\0`).join('');
    return Buffer.concat([head, records, Buffer.from(paths, 'latin1')]);
  }

  #folder(path: BytePath): number {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const number = this.#folders.size;
    this.#folders.set(path, number);
    return number;
  }
}

/** A block of the last run, read back. */
export class EntryBlock {
  readonly count: number;
  readonly linesLength: number;
  /** Where its frame is in its file. */
  readonly frame: FramePlace;
  /** The number of its first entry among all of the catalog. */
  readonly first: number;
  /** Of the records. Where it has been given away, whatever is asked of the block throws. */
  readonly memory: OwnMemory;
  readonly #words: Int32Array;
  readonly #pathsAt: number;
  #member: OwnMemory | undefined;
  #lines: Buffer | undefined;

  /** @param payload at an address that words can have */
  constructor(payload: OwnMemory, frame: FramePlace, first: number) {
    const bytes = payload.view;
    this.frame = frame;
    this.first = first;
    this.memory = payload;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.count = bytes.readUInt32LE(0);
    this.linesLength = bytes.readUInt32LE(4);
    this.#pathsAt = pathsAt(this.count);
  }

  /** The records; offsets below are into it. */
  get bytes(): Buffer {
    return this.memory.view;
  }

  /** The same memory in words; an offset divided by four is the place in it. */
  get words(): Int32Array {
    // Asked for first, since that throws where the memory is not here any more.
    return this.memory.view && this.#words;
  }

  /** The gzip member, once it is there. */
  get member(): OwnMemory {
    if (this.#member === undefined) throw new Error('the block has not been opened');
    return this.#member;
  }

  /** @param member the gzip member of the last manifest that holds the lines. Throws {@link FramesDamaged}. */
  open(member: OwnMemory): void {
    if (!memberHash(member.view).equals(this.bytes.subarray(12, BLOCK_HEAD_SIZE))) {
      throw new FramesDamaged("this machine's copy of the last manifest does not match the catalog");
    }
    this.#member = member;
  }

  line(index: number): Buffer {
    // Unpacked only when asked for: of a block that is carried over whole it never is, here.
    this.#lines ??= unpacked(this.member.view, this.linesLength);
    return this.#lines.subarray(this.lineStart(index), this.lineEnd(index));
  }

  flags(index: number): number {
    return this.words[(recordAt(index) + FLAGS_AT) >> 2] ?? 0;
  }

  statOffset(index: number): number {
    return recordAt(index) + STAT_AT;
  }

  shaOffset(index: number): number {
    return recordAt(index) + SHA_AT;
  }

  tag(index: number): number {
    return this.bytes.readUInt32LE(recordAt(index) + TAG_AT);
  }

  lineStart(index: number): number {
    return index === 0 ? 0 : this.lineEnd(index - 1);
  }

  lineEnd(index: number): number {
    return this.bytes.readUInt32LE(recordAt(index) + LINE_END_AT);
  }

  path(index: number): BytePath {
    return this.bytes.toString('latin1', this.#pathStart(index), this.#pathEnd(index)) as BytePath;
  }

  /** Below 0 where the entry's path comes before the one that lies in `bytes`, 0 where it is the same. */
  comparePath(index: number, bytes: Uint8Array, start: number, end: number): number {
    return this.bytes.compare(bytes, start, end, this.#pathStart(index), this.#pathEnd(index));
  }

  /** Whether the entry has the path that lies in `bytes`. A loop: these are short, and a call costs more. */
  hasPath(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const at = this.#pathStart(index);
    const length = end - start;
    if (this.#pathEnd(index) - at !== length) return false;
    const own = this.bytes;
    // From the end: where paths differ, they do so in the name.
    for (let offset = length - 1; offset >= 0; offset--) {
      if (own[at + offset] !== bytes[start + offset]) return false;
    }
    return true;
  }

  /** Which of the block's folders the entry is in, counted from 0; less than {@link count}. */
  folder(index: number): number {
    return this.words[(recordAt(index) + FOLDER_AT) >> 2] ?? 0;
  }

  /** Whether the file is as it was when it was read, by its stat at word `at`. */
  isSame(index: number, words: Int32Array, at: number): boolean {
    const flags = this.flags(index);
    if ((flags & SETTLED) === 0) return false;
    // It was taken for empty without a look.
    if ((flags & CURRENT) === 0 && this.#isFileWithoutSize(index)) return false;
    const then = this.statOffset(index) >> 2;
    for (let word = 0; word < PACKED_STAT_WORDS; word++) {
      if (this.words[then + word] !== words[at + word]) return false;
    }
    return true;
  }

  /** Whether the entry is of an earlier program: then its line may have to be made again ({@link CURRENT}). */
  isOlder(index: number): boolean {
    return (this.flags(index) & CURRENT) === 0;
  }

  #isFileWithoutSize(index: number): boolean {
    const at = this.statOffset(index) >> 2;
    const { words } = this;
    return ((words[at + 3] ?? 0) & 0xf000) === 0x8000 && words[at + 6] === 0 && words[at + 7] === 0;
  }

  #pathStart(index: number): number {
    return index === 0 ? this.#pathsAt : this.#pathEnd(index - 1) + 1;
  }

  #pathEnd(index: number): number {
    return this.#pathsAt + (this.words[(recordAt(index) + PATH_END_AT) >> 2] ?? 0);
  }
}

function unpacked(member: Buffer, length: number): Buffer {
  const lines = gunzipSync(member, { maxOutputLength: Math.max(1, length) });
  if (lines.length !== length) throw new FramesDamaged('a block of another length than recorded');
  return lines;
}

function recordAt(index: number): number {
  return BLOCK_HEAD_SIZE + index * RECORD_SIZE;
}

export class EntryBlockWriter {
  readonly #frames: FrameWriter;

  /** @param last the last catalog's file */
  constructor(path: string, last?: string) {
    this.#frames = new FrameWriter(path, last);
  }

  /** A block of the last catalog that goes into this one as it is. It is not to be used any more, here and below. */
  keep({ frame, memory }: EntryBlock): void {
    this.#frames.keep(frame, memory);
  }

  write(payload: Buffer): void {
    this.#frames.give(ENTRY_FRAME, OwnMemory.of(payload));
  }

  finish(): void {
    this.#frames.finish();
  }

  abandon(): void {
    this.#frames.abandon();
  }
}
