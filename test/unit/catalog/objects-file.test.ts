import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { CatalogHead } from '#src/catalog/head.js';
import { packRows, unpackRows, emptyRows } from '#src/catalog/object-rows.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { readHead, readObjectsFile, writeObjectsFile } from '#src/catalog/objects-file.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const NOW = 1_000_000;
const HEAD: CatalogHead = {
  format: 2,
  store: 'a store',
  backupName: 'a-backup',
  machine: 'a machine',
  run: 'a run',
  manifest: { key: 'a key', version: 'a version' },
  manifestUntil: NOW,
  turn: 3,
  pickers: { all: 2 },
  missing: ['/gone'],
  snapshots: {},
  classes: {},
  users: { 0: 'root' },
  groups: {},
  objectLock: true,
};

const enc = fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const);
const until = fc.integer({ min: NOW - 2, max: NOW + 2 });
const object = fc.record({
  version: fc.string({ unit: 'binary-ascii', maxLength: 40 }),
  enc,
  until,
  gone: fc.boolean(),
});
const member = fc.record({ bundle: fc.nat(3), off: fc.nat(0xffff_ffff), len: fc.nat(0xffff_ffff), enc });
const bundle = fc.record({ version: fc.string({ maxLength: 40 }), until, gone: fc.boolean() });

/** All that a row says, for comparing. */
function told(table: ObjectTable, row: number) {
  return {
    version: table.version(row),
    enc: table.encoding(row),
    until: table.until(row),
    tag: table.tag(row),
    used: table.isUsed(row),
    ...(table.isMember(row) ? { off: table.member(row).off, len: table.member(row).len } : {}),
  };
}

describe('the file of objects', () => {
  it('gives back every object and member that is there and locked, and no other', () => {
    const path = join(temporaryFolder(), 'objects');
    fc.assert(
      fc.property(
        fc.array(bundle, { minLength: 4, maxLength: 4 }),
        fc.array(fc.oneof(object, member), { maxLength: 60 }),
        (bundles, rows) => {
          const table = new ObjectTable();
          for (const { gone, ...record } of bundles) {
            const number = table.bundles.add({ ...record, sha: randomBytes(32), size: 100 });
            if (gone) table.bundles.markGone(number);
          }
          const shas = rows.map((row) => {
            const sha = randomBytes(32);
            if ('bundle' in row) table.setMember(sha, 0, row);
            else {
              const number = table.set(sha, 0, row);
              if (row.gone) table.markGone(number);
            }
            return sha;
          });
          writeObjectsFile(path, HEAD, table, NOW, false);
          const { head, table: read } = readObjectsFile(path);
          expect(head).toEqual(HEAD);
          expect(readHead(path)).toEqual(HEAD);
          let kept = 0;
          for (const sha of shas) {
            const before = table.find(sha);
            const after = read.find(sha);
            if (table.isGone(before) || table.until(before) < NOW) {
              expect(after).toBe(-1);
              continue;
            }
            kept++;
            expect(told(read, after)).toEqual(told(table, before));
          }
          expect(read.size).toBe(kept);
        },
      ),
    );
  });

  it('takes more rows than a frame holds, and rows after those it was read with', () => {
    const path = join(temporaryFolder(), 'objects');
    const table = new ObjectTable();
    const shas = Array.from({ length: 40_000 }, () => randomBytes(32));
    for (const [index, sha] of shas.entries()) {
      table.set(sha, 0, { version: `version ${index}`, enc: undefined, until: NOW + index });
    }
    writeObjectsFile(path, HEAD, table, NOW, false);
    const { table: read } = readObjectsFile(path);
    const more = randomBytes(32);
    read.set(more, 0, { version: 'more', enc: 'gzip', until: NOW });
    expect(read.size).toBe(40_001);
    expect(read.version(read.find(more))).toBe('more');
    for (const [index, sha] of shas.entries()) expect(read.version(read.find(sha))).toBe(`version ${index}`);
  });

  it('refuses rows that are cut short', () => {
    const packed = packRows(emptyRows(3, 5));
    expect(unpackRows(packed)?.count).toBe(3);
    for (const length of [0, 3, 4, 100, packed.length - 6]) {
      expect(unpackRows(packed.subarray(0, length))).toBeUndefined();
    }
  });
});
