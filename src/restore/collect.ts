import { finished, type Readable } from 'node:stream';
import { damaged } from '../content/decode.js';
import type { SysbackupError } from '../errors.js';
import { memcpy } from '../files/native.js';
import { releaseMemory } from '../release-memory.js';

/** All bytes of a stream. Throws DAMAGED, about `what`, where they are more than `most`. */
export async function collect(stored: Readable, most: number, what: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stored) {
    const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    length += bytes.length;
    if (length > most) throw tooMany(what, most);
    chunks.push(bytes);
  }
  const [only] = chunks;
  return only && chunks.length === 1 ? only : Buffer.concat(chunks, length);
}

/**
 * Writes what comes to `into`, and gives how much that was. Throws DAMAGED, about `what`, where there is no room. A chunk
 * is freed at once, so that the next one comes in memory that the processor still has at hand.
 */
export function collectInto(into: Uint8Array, stored: Readable, what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0;
    stored.on('data', (chunk: Buffer) => {
      if (length + chunk.length > into.length) {
        stored.destroy(tooMany(what, into.length));
        return;
      }
      memcpy(into.subarray(length), chunk, chunk.length);
      length += chunk.length;
      // Not where it is part of a longer buffer: not all of that has been dealt with.
      releaseMemory(chunk);
    });
    finished(stored, { writable: false }, (error) => (error ? reject(error) : resolve(length)));
  });
}

function tooMany(what: string, most: number): SysbackupError {
  return damaged(`${what} gives more than the ${most} bytes that it can have there`);
}
