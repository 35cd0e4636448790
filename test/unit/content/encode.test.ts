import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode } from '#src/content/encode.js';
import { zstd } from '#src/content/zstd.js';

const GZIP = { compression: 'gzip', level: 6 } as const;
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');
const text = (length: number) => Buffer.alloc(length, 'A line of a log, much like the one before it.\n');

/** From noise to a single repeated byte, so that results fall on both sides of the limit. */
const bytes = fc
  .tuple(fc.nat(6000), fc.constantFrom(1, 2, 16, 128, 200, 230, 256), fc.integer())
  .map(([length, values, seed]) => {
    let state = seed >>> 0;
    const result = Buffer.alloc(length);
    for (let at = 0; at < length; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      result[at] = (state >>> 16) % values;
    }
    return result;
  });

describe('encode', () => {
  it('keeps the compressed form exactly where it is at least 10 % smaller', () => {
    const seen = { gzip: 0, raw: 0 };
    fc.assert(
      fc.property(bytes, (plain) => {
        const { bytes: stored, enc, md5: sum } = encode(plain, GZIP);
        const saves = gzipSync(plain, { level: 6 }).length * 10 <= plain.length * 9;
        seen[enc === 'gzip' ? 'gzip' : 'raw']++;
        expect(enc).toBe(saves && plain.length > 0 ? 'gzip' : undefined);
        expect(enc === 'gzip' ? gunzipSync(stored) : Buffer.from(stored)).toEqual(plain);
        expect(sum).toBe(md5(stored));
      }),
      { numRuns: 300 },
    );
    expect(seen.gzip).toBeGreaterThan(20);
    expect(seen.raw).toBeGreaterThan(20);
  });

  it('gives the same stored bytes for the same bytes', () => {
    const plain = Buffer.concat([text(70_000), randomBytes(70_000)]);
    const { bytes: stored } = encode(plain, GZIP);
    const first = Buffer.from(stored); // valid until the next call
    encode(text(90_000), GZIP);
    expect(first.equals(encode(Buffer.from(plain), GZIP).bytes)).toBe(true);
  });

  it('writes a gzip header without time, name or comment, made on Unix', () => {
    const { bytes: stored } = encode(text(5000), GZIP);
    // RFC 1952: magic, deflate, no flags, MTIME 0, no extra flags, Unix
    expect([...stored.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  });

  it('follows the level', () => {
    const plain = Buffer.from(Array.from({ length: 30_000 }, (_, i) => `${(i * i) % 9973} `).join(''));
    const sizes = [1, 9].map((level) => encode(plain, { compression: 'gzip', level }).bytes.length);
    expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
  });

  it('stores noise as it is, short or long, without a copy', () => {
    for (const length of [100, 5000, 1_000_000]) {
      const plain = randomBytes(length);
      const result = encode(plain, GZIP);
      expect(result.enc).toBeUndefined();
      expect(result.bytes).toBe(plain);
    }
  });

  it('finds what compresses in a long block of which only a part does', () => {
    const block = Buffer.concat([randomBytes(3_000_000), text(1_000_000), randomBytes(1_000_000)]);
    expect(encode(block, GZIP).enc).toBe('gzip');
    expect(encode(text(16 * 1024 * 1024), GZIP).bytes.length).toBeLessThan(100_000);
  });

  it('decides on long blocks of few or uneven values as on short ones, without a trial', () => {
    const uneven = Buffer.from(randomBytes(200_000).map((byte) => byte & (byte >> 2)));
    const hex = Buffer.from(randomBytes(100_000).toString('hex'));
    for (const plain of [uneven, hex]) {
      const { bytes: stored, enc } = encode(plain, GZIP);
      expect(enc).toBe('gzip');
      expect(gunzipSync(stored).equals(plain)).toBe(true);
    }
    // 200 values are 7.6 bits: compression saves little, and the block stays as it is.
    expect(encode(Buffer.from(randomBytes(200_000).map((byte) => byte % 240)), GZIP).enc).toBeUndefined();
  });

  it('makes no MD5 where none is wanted', () => {
    for (const plain of [text(5000), randomBytes(5000)])
      expect(encode(plain, GZIP, false)).toEqual({ ...encode(plain, GZIP), md5: undefined });
  });

  it('compresses noise that repeats within the window', () => {
    const piece = randomBytes(1000);
    expect(encode(Buffer.concat(Array.from({ length: 10 }, () => piece)), GZIP).enc).toBe('gzip');
    expect(encode(Buffer.concat(Array.from({ length: 120 }, () => piece)), GZIP).enc).toBe('gzip');
  });

  it('does not take a signature for proof of compressed data', () => {
    const pretender = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), text(4000)]);
    expect(encode(pretender, GZIP).enc).toBe('gzip');
    expect(encode(gzipSync(randomBytes(4000)), GZIP).enc).toBeUndefined();
  });

  it('leaves everything alone with compression none', () => {
    const plain = text(5000);
    const result = encode(plain, { compression: 'none', level: 6 });
    expect(result).toEqual({ bytes: plain, enc: undefined, md5: md5(plain) });
  });

  it.skipIf(zstd)('says what to do where this Node has no zstd (runs on Node without zstd)', () => {
    expect(() => encode(text(500), { compression: 'zstd', level: 3 })).toThrow(
      expect.objectContaining({ code: 'CONFIG', hint: expect.stringContaining('22.15') }),
    );
  });

  it.skipIf(!zstd)('encodes with zstd (runs on Node with zstd)', () => {
    const { bytes: stored, enc } = encode(text(100_000), { compression: 'zstd', level: 3 });
    expect(enc).toBe('zstd');
    expect([...stored.subarray(0, 4)]).toEqual([0x28, 0xb5, 0x2f, 0xfd]);
  });
});
