import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { StoreError } from './store-error.js';
import type { BodyPiece, ObjectBody } from './port.js';

const CHUNK = 1024 * 1024;

/** Memory of so many bytes to read into. */
type TakeMemory = (size: number) => Buffer;

/** The bytes of a body in order. Starts from the beginning each time, so an attempt can be repeated. */
export async function* bodyChunks(
  body: ObjectBody,
  memory: TakeMemory = Buffer.allocUnsafe,
): AsyncGenerator<Uint8Array> {
  if ('bytes' in body) {
    if (body.bytes.length > 0) yield body.bytes;
    return;
  }
  for (const piece of body.pieces) yield* pieceChunks(piece, memory);
}

/**
 * The same, ending in an error (`DAMAGED`) where length or checksum are not what the body says. A chunk is good until
 * the next is asked for.
 */
export async function* verifiedChunks(key: string, body: ObjectBody): AsyncGenerator<Uint8Array> {
  const { update, matches } = checkerOf(body);
  let size = 0;
  for await (const chunk of bodyChunks(body, oneMemory())) {
    update(chunk);
    size += chunk.length;
    yield chunk;
  }
  if (size !== body.size || !matches()) throw notTheBytesPromised(key);
}

function checkerOf({ md5, crc32: expected }: ObjectBody): {
  update: (chunk: Uint8Array) => void;
  matches: () => boolean;
} {
  if (expected === undefined) {
    const hash = createHash('md5');
    return { update: (chunk) => hash.update(chunk), matches: () => hash.digest('hex') === md5 };
  }
  let crc = 0;
  const update = (chunk: Uint8Array): void => {
    crc = crc32(chunk, crc);
  };
  return { update, matches: () => crc === expected };
}

/** The same memory each time. */
function oneMemory(): TakeMemory {
  let memory = Buffer.alloc(0);
  return (size) => {
    if (memory.length < size) memory = Buffer.allocUnsafeSlow(size);
    return memory;
  };
}

/** Throws `DAMAGED` where the body is not what its length and checksum say. */
export async function verifyBody(key: string, body: ObjectBody): Promise<void> {
  // oxlint-disable-next-line no-unused-vars -- reading to the end is the check
  for await (const _ of verifiedChunks(key, body));
}

function notTheBytesPromised(key: string): StoreError {
  return new StoreError('DAMAGED', `the bytes to store as ${key} are not those of their length and MD5`, {
    hint: 'What was to be stored changed on this machine between being hashed and being sent.',
  });
}

async function* pieceChunks(piece: BodyPiece, memory: TakeMemory): AsyncGenerator<Uint8Array> {
  if (piece instanceof Uint8Array) {
    if (piece.length > 0) yield piece;
    return;
  }
  const file = await open(piece.path, 'r');
  try {
    let position = piece.start;
    while (position < piece.end) {
      const wanted = Math.min(CHUNK, piece.end - position);
      const { bytesRead, buffer } = await file.read(memory(wanted), 0, wanted, position);
      if (bytesRead === 0)
        throw new StoreError(
          'DAMAGED',
          `${piece.path} ends at byte ${position}, before byte ${piece.end} that was to be stored`,
        );
      yield buffer.subarray(0, bytesRead);
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}
