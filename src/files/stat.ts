import { hash } from 'node:crypto';
import type { BytePath } from './byte-path.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  addressOf,
  lastErrno,
  statx,
  statxAt,
} from './native.js';

/**
 * What `statx` says of a file, packed into 72 bytes: all of it that matters and nothing that changes by reading
 * (atime). Two equal packs mean: the same inode, not written, not chmodded, not relinked in between. That
 * comparison of bytes is what makes an unchanged file cheap, so packs stay bytes until a field is asked for.
 *
 * Offsets: 0 nlink u32, 4 uid u32, 8 gid u32, 12 mode u16, 16 inode u64, 24 size u64, 32 ctime s64 + u32,
 * 48 mtime s64 + u32, 64 device major u32, 68 minor u32. All in the machine's byte order.
 */
export const PACKED_STAT_SIZE = 72;
/** The same in words of 32 bits. */
export const PACKED_STAT_WORDS = PACKED_STAT_SIZE / 4;

/** The count of links comes first. */
const LINKS_SIZE = 4;
/** Where size, ctime and mtime begin, and where they end. */
const SIZE_AT = 24;
const DEVICE_AT = 64;
/** Characters of base64: 66 bits. */
const LINK_MARK_LENGTH = 11;

const STATX_BASIC_STATS = 0x7ff;
const EMPTY_PATH = Buffer.from('\0');
const PATH_MAX = 4096;

const raw = Buffer.alloc(256);
const rawWords = new Int32Array(raw.buffer, raw.byteOffset, raw.length / 4);
const rawAddress = addressOf(raw);
const pathBytes = Buffer.alloc(PATH_MAX + 1);
const pathAddress = addressOf(pathBytes);

/** lstat into `target` at `offset`. Returns undefined, or the errno's name. */
export function packedLstat(path: BytePath, target: Buffer, offset: number): string | undefined {
  if (path.length >= PATH_MAX) return 'ENAMETOOLONG';
  pathBytes[pathBytes.write(path, 0, 'latin1')] = 0;
  if (!statPath(pathAddress)) return lastErrno();
  pack(target, offset);
  return undefined;
}

/**
 * lstat into `target` at word `at`: the way of every path of the machine in every run.
 * Returns undefined, or the errno's name.
 */
export function packedLstatWords(path: BytePath, target: Int32Array, at: number): string | undefined {
  if (path.length >= PATH_MAX) return 'ENAMETOOLONG';
  pathBytes[pathBytes.write(path, 0, 'latin1')] = 0;
  return packedLstatAt(pathAddress, target, at);
}

/** The same of a path that lies at an address, ending in NUL. */
export function packedLstatAt(address: number, target: Int32Array, at: number): string | undefined {
  if (!statPath(address)) return lastErrno();
  for (let word = 0; word < 8; word++) {
    target[at + word] = rawWords[4 + word] ?? 0;
    target[at + 8 + word] = rawWords[24 + word] ?? 0;
  }
  target[at + 16] = rawWords[34] ?? 0;
  target[at + 17] = rawWords[35] ?? 0;
  return undefined;
}

function statPath(address: number): boolean {
  return statxAt(AT_FDCWD, address, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, rawAddress) === 0;
}

/** fstat into `target` at `offset`. Returns undefined, or the errno's name. */
export function packedFstat(fd: number, target: Buffer, offset: number): string | undefined {
  if (statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, raw) !== 0) return lastErrno();
  pack(target, offset);
  return undefined;
}

function pack(target: Buffer, offset: number): void {
  raw.copy(target, offset, 16, 48);
  raw.copy(target, offset + 32, 96, 128);
  raw.copy(target, offset + 64, 136, 144);
}

export type FileKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'character device'
  | 'block device'
  | 'unknown';

const KINDS: Partial<Record<number, FileKind>> = {
  0x8000: 'file',
  0x4000: 'directory',
  0xa000: 'symlink',
  0x1000: 'fifo',
  0xc000: 'socket',
  0x2000: 'character device',
  0x6000: 'block device',
};

/** The kind by a packed stat at word `at`. */
export function kindOfWords(words: Int32Array, at: number): FileKind {
  return KINDS[(words[at + 3] ?? 0) & 0xf000] ?? 'unknown';
}

/** A view of one packed stat; reads the bytes on each access. */
export class FileStat {
  readonly bytes: Buffer;
  readonly offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  get links(): number {
    return this.bytes.readUInt32LE(this.offset);
  }
  get uid(): number {
    return this.bytes.readUInt32LE(this.offset + 4);
  }
  get gid(): number {
    return this.bytes.readUInt32LE(this.offset + 8);
  }
  /** Permission bits with setuid, setgid and sticky. */
  get mode(): number {
    return this.bytes.readUInt16LE(this.offset + 12) & 0o7777;
  }
  get kind(): FileKind {
    return KINDS[this.bytes.readUInt16LE(this.offset + 12) & 0xf000] ?? 'unknown';
  }
  get inode(): bigint {
    return this.bytes.readBigUInt64LE(this.offset + 16);
  }
  get size(): number {
    return this.bytes.readUInt32LE(this.offset + 24) + this.bytes.readUInt32LE(this.offset + 28) * 2 ** 32;
  }
  /** Nanoseconds since the epoch. */
  get ctimeNs(): bigint {
    return this.time(32);
  }
  get mtimeNs(): bigint {
    return this.time(48);
  }
  /** Device, as one number, to look something up by. */
  get deviceKey(): number {
    return this.bytes.readUInt32LE(this.offset + 64) * 2 ** 32 + this.bytes.readUInt32LE(this.offset + 68);
  }
  /** `major:minor:inode`: the same for all paths of one inode, and on some file systems for other files too. */
  get inodeId(): string {
    const major = this.bytes.readUInt32LE(this.offset + 64);
    const minor = this.bytes.readUInt32LE(this.offset + 68);
    return `${major}:${minor}:${this.inode}`;
  }
  /**
   * The same for all paths of one inode as long as it is as it is: {@link inodeId} and a mark of size, mtime and ctime.
   * Union, FUSE and network file systems may show one inode number for different files, which this tells apart unless
   * these are equal too.
   */
  get linkId(): string {
    const mark = hash(
      'sha256',
      this.bytes.subarray(this.offset + SIZE_AT, this.offset + DEVICE_AT),
      'base64',
    );
    return `${this.inodeId}:${mark.slice(0, LINK_MARK_LENGTH)}`;
  }

  private time(at: number): bigint {
    const seconds = this.bytes.readBigInt64LE(this.offset + at);
    return seconds * 1_000_000_000n + BigInt(this.bytes.readUInt32LE(this.offset + at + 8));
  }
}

/** Whether two stats are of one file that was not changed in between: all of them is the same but the count of links. */
export function isSameFile(one: FileStat, other: FileStat): boolean {
  const [from, end] = [LINKS_SIZE, PACKED_STAT_SIZE];
  return (
    one.bytes.compare(
      other.bytes,
      other.offset + from,
      other.offset + end,
      one.offset + from,
      one.offset + end,
    ) === 0
  );
}

/** lstat of one path; the errno's name where it fails. */
export function lstat(path: BytePath): FileStat | string {
  const bytes = Buffer.allocUnsafe(PACKED_STAT_SIZE);
  return packedLstat(path, bytes, 0) ?? new FileStat(bytes);
}

export function fstat(fd: number): FileStat | string {
  const bytes = Buffer.allocUnsafe(PACKED_STAT_SIZE);
  return packedFstat(fd, bytes, 0) ?? new FileStat(bytes);
}

/** lstat of a name (ending in NUL) in an open folder. */
export function lstatAt(folder: number, name: Uint8Array): FileStat | string {
  if (statx(folder, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, raw) !== 0) return lastErrno();
  const bytes = Buffer.allocUnsafe(PACKED_STAT_SIZE);
  pack(bytes, 0);
  return new FileStat(bytes);
}

/** `1700000000.123456789`: nanoseconds as the manifest writes times. */
export function formatTimeNs(ns: bigint): string {
  const seconds = ns >= 0n ? ns / 1_000_000_000n : -((-ns + 999_999_999n) / 1_000_000_000n);
  return `${seconds}.${String(ns - seconds * 1_000_000_000n).padStart(9, '0')}`;
}

/** The reverse of {@link formatTimeNs}; undefined where the text is no such time. */
export function parseTimeNs(text: string): bigint | undefined {
  const match = /^(-?\d{1,12})\.(\d{9})$/.exec(text);
  if (!match) return undefined;
  return BigInt(match[1] ?? '0') * 1_000_000_000n + BigInt(match[2] ?? '0');
}
