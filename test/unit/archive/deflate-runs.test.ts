import { inflateRawSync } from 'node:zlib';
import { deflateRuns, roomForRuns } from '#src/archive/deflate-runs.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** Written behind something, with just the room that is needed. */
function deflated(bytes: Uint8Array): Buffer {
  const to = Buffer.alloc(3 + roomForRuns(bytes.length));
  const end = deflateRuns(bytes, to, 3);
  expect(end).toBeLessThanOrEqual(to.length);
  return to.subarray(3, end);
}

describe('deflateRuns', () => {
  it('gives what zlib unpacks to the same bytes', () => {
    const runs = fc.array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 600 })), { maxLength: 20 });
    fc.assert(
      fc.property(runs, fc.uint8Array({ maxLength: 300 }), (repeated, noise) => {
        const bytes = Buffer.concat([...repeated.map(([byte, count]) => Buffer.alloc(count, byte)), noise]);
        expect(inflateRawSync(deflated(bytes)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('takes runs of every length, up to more than the longest match', () => {
    for (let length = 0; length < 1100; length++) {
      const bytes = Buffer.concat([Buffer.from('a'), Buffer.alloc(length, 0), Buffer.from('z')]);
      expect(inflateRawSync(deflated(bytes)).equals(bytes)).toBe(true);
    }
  });

  it('takes every byte, and none', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(inflateRawSync(deflated(all)).equals(all)).toBe(true);
    expect(inflateRawSync(deflated(Buffer.alloc(0)))).toHaveLength(0);
  });
});
