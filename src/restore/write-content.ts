import { createHash } from 'node:crypto';
import { ftruncateSync, write, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { throwIfAborted } from '../errors.js';
import { dataIn, PAGE } from './extents.js';
import type { Piece } from './fetch-content.js';

/** Up to this, a write into the page cache is over sooner than a thread would begin with it. */
const AT_ONCE = 64 * 1024;
/** Repeated bytes after which other work gets its turn. */
const TURN = 16 * 1024 * 1024;

const writeAsync = promisify(write);

export interface WriteContentOptions {
  /** Called with the bytes dealt with since the last call. */
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Writes a content of `size` bytes (undefined: not known) into an empty file and returns its SHA-256 in hex. Pages of
 * zeros are not written: where they were, the file has holes. Throws what reading the pieces or writing the file throws.
 */
export async function writeContent(
  fd: number,
  size: number | undefined,
  pieces: AsyncIterable<Piece>,
  options: WriteContentOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  // Beforehand, so that a file that is too long for the file system fails before it is fetched.
  if (size !== undefined && size >= PAGE) ftruncateSync(fd, size);
  let at = 0;
  let turn = 0;
  for await (const { bytes, times } of pieces) {
    const extents = dataIn(bytes, at);
    for (let round = 0; round < times; round += 1) {
      throwIfAborted(options.signal);
      hash.update(bytes);
      for (const { start, end } of extents) await writeAll(fd, bytes.subarray(start, end), at + start);
      at += bytes.length;
      turn += bytes.length;
      options.onBytes?.(bytes.length);
      if (turn >= TURN) {
        turn = 0;
        await setImmediate();
      }
    }
  }
  // A hole at the end makes no file longer by itself.
  if (size === undefined) ftruncateSync(fd, at);
  return hash.digest('hex');
}

async function writeAll(fd: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = bytes.length - done;
    done +=
      length <= AT_ONCE
        ? writeSync(fd, bytes, done, length, at + done)
        : (await writeAsync(fd, bytes, done, length, at + done)).bytesWritten;
  }
}
