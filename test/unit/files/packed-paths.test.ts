import type { BytePath } from '#src/files/byte-path.js';
import { PackedPaths, startOf } from '#src/files/packed-paths.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const path = fc
  .string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 })
  .map((name) => `/${name}` as BytePath);

describe('PackedPaths', () => {
  it('gives back the paths it was made of, one by one and all together', () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 20 }), (paths) => {
        const packed = PackedPaths.of(paths);
        expect(packed.count).toBe(paths.length);
        expect([...packed.paths()]).toEqual(paths);
        expect(paths.map((_, index) => packed.path(index))).toEqual(paths);
      }),
    );
  });

  it('has the bytes of each path where it says, and a NUL behind it', () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 20 }), (paths) => {
        const packed = PackedPaths.of(paths);
        for (const [index, one] of paths.entries()) {
          const end = packed.ends[index] ?? -1;
          expect(packed.start(index)).toBe(startOf(packed.ends, index));
          const bytes = Buffer.from(packed.bytes.subarray(packed.start(index), end));
          expect(bytes.equals(Buffer.from(one, 'latin1'))).toBe(true);
          expect(packed.bytes[end]).toBe(0);
        }
      }),
    );
  });

  it('takes bytes that hold more than the paths', () => {
    const bytes = Uint8Array.from(Buffer.from('/a\0/\xff\n\0left over', 'latin1'));
    expect([...new PackedPaths(bytes, Uint32Array.of(2, 6)).paths()]).toEqual(['/a', '/\xff\n']);
  });

  it('has memory of its own, for another thread to be given whole', () => {
    for (const paths of [[], ['/a'], ['/a', '/b'.repeat(5000)]]) {
      const { bytes } = PackedPaths.of(paths as BytePath[]);
      expect(bytes.buffer.byteLength).toBe(bytes.length);
    }
  });
});
