import { inflateRawSync } from 'node:zlib';
import { deflateRuns } from '#src/archive/deflate-runs.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('deflateRuns', () => {
  it('gives what zlib unpacks to the same bytes', () => {
    const runs = fc.array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 600 })), { maxLength: 20 });
    fc.assert(
      fc.property(runs, fc.uint8Array({ maxLength: 300 }), (repeated, noise) => {
        const bytes = Buffer.concat([...repeated.map(([byte, count]) => Buffer.alloc(count, byte)), noise]);
        expect(inflateRawSync(deflateRuns(bytes)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('takes runs of every length, up to more than the longest match', () => {
    for (let length = 0; length < 1100; length++) {
      const bytes = Buffer.concat([Buffer.from('a'), Buffer.alloc(length, 0), Buffer.from('z')]);
      expect(inflateRawSync(deflateRuns(bytes)).equals(bytes)).toBe(true);
    }
  });

  it('takes every byte, and none', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(inflateRawSync(deflateRuns(all)).equals(all)).toBe(true);
    expect(inflateRawSync(deflateRuns(Buffer.alloc(0)))).toHaveLength(0);
  });
});
