import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode } from '#src/content/encode.js';
import { gzipLibraryFor } from '#src/content/gzip-library.js';
import { libdeflate } from '#src/content/libdeflate.js';
import { otherGzip } from '#src/content/other-gzip.js';

const ZLIB = { compression: 'gzip', level: 6 } as const;
const LIBDEFLATE = { ...ZLIB, gzipLibrary: 'libdeflate' } as const;
const MIB = 2 ** 20;

const text = (length: number) => {
  let line = 0;
  const lines: string[] = [];
  for (let at = 0; at < length; at += lines.at(-1)?.length ?? 0)
    lines.push(`${line++}: a line of a log, with ${(line * 7919) % 1013} in it\n`);
  return Buffer.from(lines.join('').slice(0, length));
};

/** What is stored of it, unpacked by Node. */
function unpacked({ bytes, enc }: ReturnType<typeof encode>): Buffer {
  return enc === 'gzip' ? gunzipSync(bytes) : Buffer.from(bytes);
}

describe.skipIf(libdeflate() === undefined)('libdeflate (where libdeflate.so.0 is installed)', () => {
  it('writes gzip that Node unpacks, of anything and at each level, with the MD5 of what is stored', () => {
    const repeating = fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(400))
      .map(([piece, times]) => Buffer.concat(Array.from({ length: times }, () => piece)));
    const plain = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
      repeating,
    );
    let compressed = 0;
    fc.assert(
      fc.property(plain, fc.integer({ min: 1, max: 9 }), (bytes, level) => {
        const result = encode(bytes, { ...LIBDEFLATE, level });
        if (result.enc === 'gzip') compressed++;
        expect(unpacked(result).equals(bytes)).toBe(true);
        expect(result.md5).toBe(createHash('md5').update(result.bytes).digest('hex'));
        if (result.enc === 'gzip') expect(result.bytes.length * 10).toBeLessThanOrEqual(bytes.length * 9);
      }),
      { numRuns: 500 },
    );
    expect(compressed).toBeGreaterThan(50);
  });

  it('does so with nothing, one byte, noise, and whole blocks', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from([7]),
      randomBytes(MIB),
      Buffer.alloc(16 * MIB),
      text(16 * MIB),
      Buffer.concat([randomBytes(8 * MIB), text(8 * MIB)]),
    ]) {
      const result = encode(bytes, LIBDEFLATE);
      expect(unpacked(result).equals(bytes)).toBe(true);
    }
    expect(encode(randomBytes(MIB), LIBDEFLATE).enc).toBeUndefined();
  });

  it('writes the same each time, with no time in the header', () => {
    const first = Buffer.from(encode(text(200_000), LIBDEFLATE).bytes);
    encode(text(50_000), LIBDEFLATE);
    expect(first.equals(encode(text(200_000), LIBDEFLATE).bytes)).toBe(true);
    // RFC 1952: magic, deflate, no flags, MTIME 0
    expect([...first.subarray(0, 8)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
  });

  it('follows the level, and stores about what zlib does at the same one', () => {
    const plain = text(300_000);
    const sizes = [1, 6, 9].map((level) => encode(plain, { ...LIBDEFLATE, level }).bytes.length);
    expect(sizes[2]).toBeLessThan(Math.min(sizes[0] ?? 0, sizes[1] ?? 0));
    expect(sizes[1]).toBeLessThan(gzipSync(plain, { level: 6 }).length * 1.2);
  });

  it('is what auto means', () => {
    expect(gzipLibraryFor('auto')).toBe('libdeflate');
    expect(gzipLibraryFor('libdeflate')).toBe('libdeflate');
    expect(gzipLibraryFor('zlib')).toBe('zlib');
  });

  it('and zlib know from what they store what the other one would have stored', async () => {
    for (const plain of [text(300_000), Buffer.concat([randomBytes(50_000), text(100_000)])])
      for (const [own, other] of [
        [LIBDEFLATE, ZLIB],
        [ZLIB, LIBDEFLATE],
      ] as const) {
        const expected = Buffer.from(encode(plain, other).bytes);
        const stored = Buffer.from(encode(plain, own).bytes);
        const form = await otherGzip(own)?.(stored);
        expect(form?.enc).toBe('gzip');
        expect(expected.equals(form?.bytes ?? Buffer.alloc(0))).toBe(true);
        expect(form?.md5).toBe(createHash('md5').update(expected).digest('hex'));
        expect(expected.equals(stored)).toBe(false);
      }
    expect(otherGzip({ compression: 'zstd', level: 3 })).toBeUndefined();
  });
});

it.skipIf(libdeflate() !== undefined)('says what to install (runs where libdeflate is not installed)', () => {
  expect(() => gzipLibraryFor('libdeflate')).toThrow(
    expect.objectContaining({ code: 'CONFIG', hint: expect.stringContaining('libdeflate0') }),
  );
  expect(gzipLibraryFor('auto')).toBe('zlib');
});
