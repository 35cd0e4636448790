import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ObjectTable } from '#src/catalog/object-table.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const record = fc.record({
  version: fc.string({ unit: 'grapheme-ascii', maxLength: 64 }),
  enc: fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const),
  until: fc.nat(0xffff_ffff),
});
// Few distinct first bytes: collisions in the buckets are what is worth testing.
const sha = fc
  .tuple(fc.nat(3), fc.uint8Array({ minLength: 28, maxLength: 28 }))
  .map(([head, tail]) => Buffer.concat([Buffer.from([0, 0, 0, head]), tail]));

/** In array buffers, once those that nobody holds any longer are gone. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect(); // which waits for the memory that the first one gives back beside the program
  return process.memoryUsage().arrayBuffers;
}

describe('ObjectTable', () => {
  it('remembers what a Map would', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sha, record), { maxLength: 200 }), (entries) => {
        const table = new ObjectTable();
        const model = new Map<string, (typeof entries)[number][1]>();
        for (const [key, value] of entries) {
          table.set(key, 0, value);
          model.set(key.toString('hex'), value);
        }
        expect(table.size).toBe(model.size);
        for (const [hex, value] of model) {
          const row = table.find(Buffer.from(hex, 'hex'));
          expect(table.sha(row).toString('hex')).toBe(hex);
          expect({ version: table.version(row), enc: table.encoding(row), until: table.until(row) }).toEqual(
            value,
          );
        }
        expect(table.find(randomBytes(32))).toBe(-1);
      }),
    );
  });

  it('finds a SHA in the middle of other bytes', () => {
    const table = new ObjectTable();
    const bytes = randomBytes(100);
    table.set(bytes, 40, { version: 'v', enc: undefined, until: 1 });
    expect(table.find(bytes.subarray(40, 72))).toBe(0);
    expect(table.find(bytes, 39)).toBe(-1);
  });

  it('keeps a used mark when the object is stored anew, and loses the mark of being gone', () => {
    const table = new ObjectTable();
    const key = randomBytes(32);
    const row = table.set(key, 0, { version: 'a', enc: undefined, until: 1 });
    table.markUsed(row);
    table.markGone(row);
    expect(table.set(key, 0, { version: 'b', enc: 'gzip', until: 2 })).toBe(row);
    expect([table.isUsed(row), table.isGone(row), table.version(row)]).toEqual([true, false, 'b']);
  });

  it('takes about 80 bytes for each of many objects', () => {
    const count = 200_000;
    const table = new ObjectTable();
    const key = Buffer.alloc(32);
    const before = keptBytes();
    for (let index = 0; index < count; index++) {
      key.writeUInt32BE(Math.imul(index, 2654435761) >>> 0, 0);
      key.writeUInt32BE(index, 4);
      table.set(key, 0, { version: 'x'.repeat(32), enc: 'gzip', until: index });
    }
    const grown = keptBytes() - before;
    expect(table.size).toBe(count);
    // Arrays grow by half, so that much may not be in use yet.
    expect(grown / count).toBeLessThan(80 * 1.6);
  });
});
