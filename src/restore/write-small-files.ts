import { createHash, hash } from 'node:crypto';
import { ftruncateSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decode } from '../content/decode.js';
import type { Libdeflate } from '../content/libdeflate.js';
import { releaseMemory, releaseOnlyView } from '../release-memory.js';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { applyMetadata, type WantedMetadata } from '../files/apply.js';
import { NewFileHandle } from '../files/handle.js';
import { close } from '../files/native.js';
import { SafeDir } from '../files/safe-dir.js';
import { fstat } from '../files/stat.js';
import { versionName } from '../manifest/keys.js';
import { dataIn } from './extents.js';
import type { LocalContents } from './local-contents.js';
import type { LocalPart, SmallFile, SmallFilesDone, WriteFailure, WrittenFile } from './small-files.js';
import { filesIn, type SmallFilesMessage, unpacked } from './small-files-message.js';
import { refused, wrongContent } from './write-failures.js';

const UNREAD: WriteFailure = { is: 'unread' };
const CLOSED = 0o600;

/** What a thread works with. */
export interface Tools {
  /** Reads the contents that come without bytes. */
  local?: LocalContents | undefined;
  /** Unpacks gzip, where the system has it; else zlib does. */
  library?: Libdeflate | undefined;
}

/** Writes each file of a batch as `writeFile` does one. Never throws. */
export function writeSmallFiles(message: SmallFilesMessage, tools: Tools): SmallFilesDone {
  const files = filesIn(message.fields);
  const { local } = tools;
  const before = local?.reads ?? 0;
  const results = writeAll(files, message, tools);
  return { id: message.id, reads: (local?.reads ?? 0) - before, results };
}

type Result = WrittenFile | WriteFailure | undefined;

function writeAll(files: readonly SmallFile[], message: SmallFilesMessage, tools: Tools): Result[] {
  const parts = files[0]?.parts;
  if (!parts) {
    const results = writeBatch(files, unpacked(message), tools);
    releaseMemory(message.bytes);
    return results;
  }
  const isOne = parts.length > 1 || (parts[0]?.times ?? 1) > 1;
  if (isOne) return files.map((file) => tried(() => writeInParts(file, parts, tools.local)));
  const gathered = tools.local?.gather(files);
  const results = writeBatch(files, gathered?.stored ?? [], tools);
  if (gathered) releaseMemory(gathered.all);
  return results;
}

/** `stored`: undefined for what cannot be read. */
function writeBatch(
  files: readonly SmallFile[],
  stored: readonly (Uint8Array | undefined)[],
  { library }: Tools,
): Result[] {
  const contents = unpackAtOnce(files, stored, library);
  let at = 0;
  const results = files.map((file, index) => {
    const bytes = stored[index];
    const content = file.enc === 'gzip' ? contents?.subarray(at, (at += file.size)) : undefined;
    return bytes ? tried(() => writeSmallFile(file, bytes, content)) : UNREAD;
  });
  if (contents) releaseOnlyView(contents);
  return results;
}

function tried(write: () => Result): Result {
  try {
    return write();
  } catch (error) {
    return failureOf(error);
  }
}

/**
 * The contents of all that is encoded with gzip, one after the other. By libdeflate where the system has it, else with
 * one call: gzip members that follow each other are one gzip, and to unpack a small one by itself costs zlib several
 * times what its bytes do. Undefined where they do not add up to the recorded sizes; who unpacks them one by one then
 * finds out which is wrong. That each is the right one is told by its SHA-256.
 */
function unpackAtOnce(
  files: readonly SmallFile[],
  stored: readonly (Uint8Array | undefined)[],
  library: Libdeflate | undefined,
): Uint8Array | undefined {
  const members: Uint8Array[] = [];
  let size = 0;
  for (const [index, file] of files.entries()) {
    if (file.enc !== 'gzip') break;
    const bytes = stored[index];
    if (!bytes) return undefined;
    members.push(bytes);
    size += file.size;
  }
  if (size === 0) return undefined;
  return library ? unpackEach(library, members, files, size) : unpackTogether(members, size);
}

function unpackEach(
  library: Libdeflate,
  members: readonly Uint8Array[],
  files: readonly SmallFile[],
  size: number,
): Uint8Array | undefined {
  const contents = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const [index, member] of members.entries()) {
    const content = contents.subarray(at, (at += files[index]?.size ?? 0));
    if (!library.gunzip(member, content)) return undefined;
  }
  return contents;
}

function unpackTogether(members: readonly Uint8Array[], size: number): Uint8Array | undefined {
  // A byte more than all of it, so that it comes in one piece.
  const options = { maxOutputLength: size, chunkSize: Math.max(64, size + 1) };
  try {
    const contents = gunzipSync(Buffer.concat(members), options);
    return contents.length === size ? contents : undefined;
  } catch {
    return undefined;
  }
}

/** `unpacked`: what the content is if all is right; without it, `stored` is decoded. */
function writeSmallFile(
  file: SmallFile,
  stored: Uint8Array,
  unpacked: Uint8Array | undefined,
): WrittenFile | undefined {
  let content = unpacked;
  let sha = content && hash('sha256', content);
  if (!content || sha !== file.sha) {
    content = decode(stored, file.enc, file);
    sha = hash('sha256', content);
  }
  if (sha !== file.sha) throw wrongContent(sha, file.sha);
  return putInPlace(file, (fd) => {
    // A hole at the end makes no file longer by itself.
    if (writeExtents(fd, content, 0) < content.length) ftruncateSync(fd, content.length);
    return true;
  });
}

/** A file of several blocks, or a long one: one after the other, with one digest of them all. */
function writeInParts(
  file: SmallFile,
  parts: readonly LocalPart[],
  local: LocalContents | undefined,
): Result {
  let isUnread = false;
  const written = putInPlace(file, (fd) => {
    const digest = createHash('sha256');
    ftruncateSync(fd, file.size);
    let at = 0;
    for (const part of parts) {
      const stored = local?.read(part);
      if (!stored) {
        isUnread = true;
        return false;
      }
      const { enc, size, key, ver } = part;
      const content = decode(stored, enc, { size, what: versionName(key, ver) });
      for (let time = 0; time < part.times; time += 1) {
        digest.update(content);
        writeExtents(fd, content, at);
        at += content.length;
      }
      if (content !== stored) releaseOnlyView(content);
      releaseMemory(stored);
    }
    const sha = digest.digest('hex');
    if (sha !== file.sha) throw wrongContent(sha, file.sha);
    return true;
  });
  return isUnread ? UNREAD : written;
}

/**
 * Makes the file, and gives it its metadata and its name when it has been written. Nothing is left of it where that
 * throws, or says false.
 */
function putInPlace(file: SmallFile, write: (fd: number) => boolean): WrittenFile | undefined {
  const folder = SafeDir.ofDescriptor(file.folder);
  const created = folder.createFile(file.temporary, modeToBeginWith(file.wanted));
  if (typeof created === 'string') throw refused(created);
  let isInPlace = false;
  try {
    if (!write(created.fd)) return undefined;
    const notSet = applyMetadata(new NewFileHandle(created.fd), file.wanted);
    const stat = file.wantsInode ? fstat(created.fd) : undefined;
    if (typeof stat === 'string') throw refused(stat);
    const errno = folder.rename(file.temporary, file.name);
    if (errno !== undefined) throw refused(errno);
    isInPlace = true;
    return stat || notSet.length > 0 ? { inodeId: stat?.inodeId, notSet } : undefined;
  } finally {
    // Node's own warns of a descriptor that it has not opened in this thread.
    close(created.fd);
    if (!isInPlace) folder.remove(file.temporary);
  }
}

/**
 * Closed to others, unless it will belong to whom it is made by, and its group may no more than all others: the group
 * may at first be the folder's.
 */
function modeToBeginWith({ uid, gid, mode, acl }: WantedMetadata): number {
  if (mode === undefined || acl !== undefined || uid !== process.geteuid?.() || gid !== process.getegid?.())
    return CLOSED;
  return ((mode >> 3) & ~mode & 7) === 0 ? mode & 0o777 : CLOSED;
}

/** Writes what is no page of zeros; returns where the last of it ends, counted from `start`. */
function writeExtents(fd: number, content: Uint8Array, start: number): number {
  let end = 0;
  for (const extent of dataIn(content, start)) {
    for (let at = extent.start; at < extent.end; )
      at += writeSync(fd, content, at, extent.end - at, start + at);
    end = extent.end;
  }
  return end;
}

function failureOf(error: unknown): WriteFailure {
  const message = messageOf(error);
  if (error instanceof SysbackupError && error.code === 'DAMAGED') return { is: 'damaged', message };
  const errno = error instanceof SysbackupError ? undefined : errnoOf(error);
  return errno === undefined ? { is: 'failed', message } : { is: 'refused', errno, message };
}
