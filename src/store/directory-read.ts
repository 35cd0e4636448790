import { closeSync, constants, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ByteRange } from './port.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** Up to this, on a local file system, reading is over sooner than a thread would begin with it. */
const AT_ONCE = 256 * 1024;
/** Bytes that a stream reads at a time of what may be long. */
const CHUNK = 1024 * 1024;
/** The same of a range, so that what a restore asks for of a bundle comes in one piece. */
const RANGE = 4 * 1024 * 1024;

/**
 * The bytes of a file of this size, or of a range of it, in as few pieces as can be: each is memory that must be
 * collected again. `wait`: whether a short one is read at once.
 */
export async function readBytes(
  path: string,
  size: number,
  range: ByteRange | undefined,
  wait: boolean,
): Promise<Readable> {
  const start = range?.start ?? 0;
  const length = Math.min(range?.end ?? size, size) - start;
  if (length <= 0) return Readable.from([]);
  if (wait && length <= AT_ONCE) return Readable.from(readAtOnce(path, start, length));
  const file = await open(path, READ);
  // Streams count the last byte in.
  return file.createReadStream({
    start,
    end: start + length - 1,
    highWaterMark: Math.min(length, range ? RANGE : CHUNK),
  });
}

function readAtOnce(path: string, start: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  const file = openSync(path, READ);
  try {
    let done = 0;
    for (let read = -1; read !== 0 && done < length; done += read)
      read = readSync(file, bytes, done, length - done, start + done);
    return bytes.subarray(0, done);
  } finally {
    closeSync(file);
  }
}
