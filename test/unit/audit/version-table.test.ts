import { createHash } from 'node:crypto';
import { type NamedVersion, VersionTable } from '#src/audit/version-table.js';
import { compareKeys } from '#src/store/key-order.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const hex = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const key = fc.oneof(
  hex.map((sha) => `content/${sha}`),
  hex.map((sha) => `bundles/${sha}.tar`),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  // Nearly such keys, but others.
  hex.map((sha) => `content/${sha}0`),
  hex.map((sha) => `content/${sha}.tar`),
);
const named: fc.Arbitrary<NamedVersion> = fc.record({
  key,
  ver: fc.string({ unit: 'grapheme', maxLength: 40 }),
  enc: fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const),
  sha: fc.option(hex, { nil: undefined }),
});

describe('VersionTable', () => {
  it('gives back what was put in, each once', () => {
    fc.assert(
      fc.property(fc.array(named, { maxLength: 60 }), (all) => {
        const table = new VersionTable();
        const rows = all.map((each) => table.add(each));
        for (const [index, each] of all.entries()) {
          const row = rows[index] ?? -1;
          expect(table.find(each)).toBe(row);
          expect(table.add(each)).toBe(row);
          expect([table.key(row), table.version(row), table.encoding(row)]).toEqual([
            each.key,
            each.ver,
            each.enc,
          ]);
          const shaOfKey = /^(?:content\/([0-9a-f]{64})|bundles\/([0-9a-f]{64})\.tar)$/.exec(each.key);
          expect(table.sha(row)).toBe(shaOfKey?.[1] ?? shaOfKey?.[2] ?? each.sha);
        }
        expect(table.count).toBe(new Set(rows).size);
      }),
    );
  });

  it('sorts as stores list', () => {
    fc.assert(
      fc.property(fc.array(named, { maxLength: 60 }), (all) => {
        const table = new VersionTable();
        for (const each of all) table.add(each);
        let seen = 0;
        for (const kind of ['content', 'bundle', 'other'] as const) {
          const keys = [...table.sorted(kind)].map((row) => table.key(row));
          expect(keys).toEqual([...keys].sort(compareKeys));
          seen += keys.length;
        }
        expect(seen).toBe(table.count);
      }),
    );
  });

  it('keeps its columns and finds its rows while it grows', () => {
    const table = new VersionTable();
    const name = (index: number): NamedVersion => ({
      key: `content/${createHash('sha256').update(String(index)).digest('hex')}`,
      ver: `version-${index}`,
    });
    for (let index = 0; index < 20_000; index++) table.until[table.add(name(index))] = index;
    for (let index = 0; index < 20_000; index += 97) expect(table.until[table.find(name(index))]).toBe(index);
    expect(table.find({ ...name(3), ver: 'version-4' })).toBe(-1);
    expect(table.find({ ...name(3), enc: 'gzip' })).toBe(-1);
  });

  it('cuts version ids that no store can have', () => {
    const table = new VersionTable();
    const row = table.add({ key: 'snapshots/a/b', ver: 'ü'.repeat(100_000), sha: '00'.repeat(32) });
    expect(table.find({ key: 'snapshots/a/b', ver: 'ü'.repeat(100_000), sha: '00'.repeat(32) })).toBe(row);
    expect(table.version(row).length).toBeLessThanOrEqual(1024);
  });
});
