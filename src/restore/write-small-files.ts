import { hash } from 'node:crypto';
import { ftruncateSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decode } from '../content/decode.js';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { applyMetadata } from '../files/apply.js';
import { OpenFileHandle } from '../files/handle.js';
import { close } from '../files/native.js';
import { SafeDir } from '../files/safe-dir.js';
import { fstat } from '../files/stat.js';
import { dataIn } from './extents.js';
import type { SmallFile, SmallFiles, SmallFilesDone, WriteFailure, WrittenFile } from './small-files.js';
import { refused, wrongContent } from './write-failures.js';

/** Writes each file of a batch as `writeFile` does one. Never throws. */
export function writeSmallFiles({ id, files, bytes, lengths }: SmallFiles): SmallFilesDone {
  const unpacked = unpackAtOnce(files, bytes, lengths);
  let storedAt = 0;
  let unpackedAt = 0;
  const results = files.map((file, index) => {
    const stored = bytes.subarray(storedAt, (storedAt += lengths[index] ?? 0));
    const content =
      file.enc === 'gzip' ? unpacked?.subarray(unpackedAt, (unpackedAt += file.size)) : undefined;
    try {
      return writeSmallFile(file, stored, content);
    } catch (error) {
      return failureOf(error);
    }
  });
  return { id, results };
}

/**
 * The contents of all that is encoded with gzip, one after the other: gzip members that follow each other are one
 * gzip, and to unpack a small one by itself costs several times what its bytes do. Undefined where they do not add up
 * to the recorded sizes; who unpacks them one by one then finds out which is wrong. That each is the right one is told
 * by its SHA-256.
 */
function unpackAtOnce(
  files: readonly SmallFile[],
  bytes: Uint8Array,
  lengths: readonly number[],
): Uint8Array | undefined {
  let stored = 0;
  let size = 0;
  for (const [index, file] of files.entries()) {
    if (file.enc !== 'gzip') break;
    stored += lengths[index] ?? 0;
    size += file.size;
  }
  if (size === 0) return undefined;
  try {
    // A byte more than all of it, so that it comes in one piece.
    const options = { maxOutputLength: size, chunkSize: Math.max(64, size + 1) };
    const unpacked = gunzipSync(bytes.subarray(0, stored), options);
    return unpacked.length === size ? unpacked : undefined;
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
  const folder = SafeDir.ofDescriptor(file.folder);
  const created = folder.createFile(file.temporary);
  if (typeof created === 'string') throw refused(created);
  let isInPlace = false;
  try {
    writeWithHoles(created.fd, content);
    const notSet = applyMetadata(new OpenFileHandle(created.fd), file.wanted);
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

function writeWithHoles(fd: number, content: Uint8Array): void {
  let end = 0;
  for (const extent of dataIn(content, 0)) {
    for (let at = extent.start; at < extent.end; ) at += writeSync(fd, content, at, extent.end - at, at);
    end = extent.end;
  }
  // A hole at the end makes no file longer by itself.
  if (end < content.length) ftruncateSync(fd, content.length);
}

function failureOf(error: unknown): WriteFailure {
  const message = messageOf(error);
  if (error instanceof SysbackupError && error.code === 'DAMAGED') return { is: 'damaged', message };
  const errno = error instanceof SysbackupError ? undefined : errnoOf(error);
  return errno === undefined ? { is: 'failed', message } : { is: 'refused', errno, message };
}
