import { createHash, randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ObjectBody } from '#src/store/port.js';

/** A body of bytes in memory, or of a text's UTF-8. */
export function bodyOf(content: Uint8Array | string): ObjectBody & { bytes: Uint8Array } {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return { bytes, size: bytes.length, md5: md5Of(bytes) };
}

export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

export function randomBody(size: number): ObjectBody & { bytes: Uint8Array } {
  return bodyOf(randomBytes(size));
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
