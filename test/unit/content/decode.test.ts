import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, decodeStream } from '#src/content/decode.js';
import { encode } from '#src/content/encode.js';
import { zstd } from '#src/content/zstd.js';
import type { Encoding } from '#src/config/compression.js';

type Decoder = (stored: Uint8Array, enc: Encoding | undefined, size: number) => Promise<Buffer>;

const what = 'content/ab (version 1)';
const oneShot: Decoder = async (stored, enc, size) => Buffer.from(decode(stored, enc, { size, what }));

/** Feeds pieces of the length given. */
const streamed =
  (piece: number): Decoder =>
  async (stored, enc, size) => {
    const pieces = [];
    for await (const part of decodeStream(inPieces(stored, piece), enc, { size, what })) pieces.push(part);
    return Buffer.concat(pieces);
  };

async function* inPieces(bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

const encodings: (Encoding | undefined)[] = zstd ? [undefined, 'gzip', 'zstd'] : [undefined, 'gzip'];
const damaged = expect.objectContaining({ code: 'DAMAGED', message: expect.stringContaining(what) });

describe.each([
  ['in one piece', oneShot],
  ['as a stream', streamed(64 * 1024)],
  ['as a stream of short pieces', streamed(100)],
])('decode %s', (_, decoder) => {
  it('gives back what was encoded', async () => {
    const plain = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(200)).map(([seed, times]) => {
        return Buffer.concat(Array.from({ length: times }, () => seed));
      }),
    );
    await fc.assert(
      fc.asyncProperty(plain, fc.constantFrom(...encodings), async (bytes, enc) => {
        const level = 3;
        const encoded = encode(bytes, { compression: enc ?? 'none', level });
        expect(await decoder(encoded.bytes, encoded.enc, bytes.length)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('takes several gzip members for one gzip, as gzip does', async () => {
    const members = ['one ', 'two ', 'three'].map((text) => gzipSync(text));
    const content = await decoder(Buffer.concat(members), 'gzip', 13);
    expect(content.toString()).toBe('one two three');
  });

  it('refuses a recorded length that no memory has', async () => {
    for (const enc of encodings) {
      const { bytes } = encode(Buffer.alloc(3000, 'some text '), { compression: enc ?? 'none', level: 3 });
      await expect(decoder(bytes, enc, Number.MAX_SAFE_INTEGER)).rejects.toEqual(damaged);
    }
  });

  it('refuses what is cut short, at any byte', async () => {
    const plain = Buffer.alloc(3000, 'some text ');
    for (const enc of encodings.filter((each) => each !== undefined)) {
      const { bytes } = encode(plain, { compression: enc, level: 3 });
      for (let length = 0; length < bytes.length; length++)
        await expect(decoder(bytes.subarray(0, length), enc, plain.length)).rejects.toEqual(damaged);
    }
    await expect(decoder(plain.subarray(1), undefined, plain.length)).rejects.toEqual(damaged);
  });

  it('refuses what comes after the end', async () => {
    const plain = Buffer.alloc(3000, 'some text ');
    for (const enc of encodings) {
      const { bytes } = encode(plain, { compression: enc ?? 'none', level: 3 });
      for (const tail of [Buffer.alloc(1), Buffer.alloc(500), Buffer.from('junk'), bytes])
        await expect(decoder(Buffer.concat([bytes, tail]), enc, plain.length)).rejects.toEqual(damaged);
    }
  });

  it('refuses other lengths than the recorded one', async () => {
    for (const size of [0, 2999, 3001])
      await expect(decoder(gzipSync(Buffer.alloc(3000)), 'gzip', size)).rejects.toEqual(damaged);
  });

  it('refuses what is no such encoding, or has a wrong checksum', async () => {
    await expect(decoder(Buffer.from('plain'), 'gzip', 5)).rejects.toEqual(damaged);
    const bytes = gzipSync(Buffer.alloc(3000, 'some text '));
    bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
    await expect(decoder(bytes, 'gzip', 3000)).rejects.toEqual(damaged);
  });
});

describe('decode', () => {
  it('stops a gzip bomb at the recorded size', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect(() => decode(bomb, 'gzip', { size: 1000, what })).toThrow(damaged);
    let passed = 0;
    const all = async () => {
      for await (const piece of decodeStream(inPieces(bomb, 4096), 'gzip', { size: 20_000, what }))
        passed += piece.length;
    };
    await expect(all()).rejects.toEqual(damaged);
    expect(passed).toBeLessThanOrEqual(20_000);
  });

  it('streams without a recorded size', async () => {
    const plain = randomBytes(100_000);
    const pieces = [];
    for await (const piece of decodeStream(inPieces(gzipSync(plain), 999), 'gzip', { size: undefined, what }))
      pieces.push(piece);
    expect(Buffer.concat(pieces).equals(plain)).toBe(true);
  });

  it("passes the source's own failure on as it is", async () => {
    const failure = new Error('connection lost');
    const source = async function* () {
      yield gzipSync(randomBytes(1000)).subarray(0, 500);
      throw failure;
    };
    for (const enc of ['gzip', undefined] as const) {
      const decoding = (async () => {
        for await (const piece of decodeStream(source(), enc, { size: 1000, what }))
          expect(piece).toBeDefined();
      })();
      await expect(decoding).rejects.toBe(failure);
    }
  });

  it('closes the source when nobody reads on', async () => {
    const source = Readable.from(inPieces(gzipSync(randomBytes(5_000_000)), 4096));
    const closed = new Promise((resolve) => source.once('close', resolve));
    for await (const piece of decodeStream(source, 'gzip', { size: 5_000_000, what })) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await closed;
  });
});
