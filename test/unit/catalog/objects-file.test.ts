import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FramesDamaged } from '#src/catalog/frames.js';
import type { CatalogHead } from '#src/catalog/head.js';
import { packRows, unpackRows, emptyRows } from '#src/catalog/object-rows.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { readHead, readObjectsFile, writeHead, writeObjectsFile } from '#src/catalog/objects-file.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const NOW = 1_000_000;
const HEAD: CatalogHead = {
  format: 3,
  store: 'a store',
  backupName: 'a-backup',
  machine: 'a machine',
  run: 'a run',
  manifest: { key: 'a key', version: 'a version' },
  entriesAt: 77,
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

const CHANGES = ['add', 'renew', 'renew bundle', 'forget', 'forget bundle', 'use'] as const;

/** What a run does to the table that it read. */
function alter(table: ObjectTable, { does, at }: { does: (typeof CHANGES)[number]; at: number }): void {
  const row = at % Math.max(1, table.size);
  const number = at % table.bundles.size;
  if (does === 'add') table.set(randomBytes(32), 0, { version: 'new', enc: undefined, until: NOW + 1 });
  if (does === 'renew bundle') table.bundles.setUntil(number, NOW + 2);
  if (does === 'forget bundle') table.bundles.markGone(number);
  if (table.size === 0) return;
  if (does === 'renew' && !table.isMember(row)) table.setUntil(row, NOW + 2);
  if (does === 'forget') table.markGone(row);
  if (does === 'use') table.markUsed(row);
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
          writeObjectsFile(path, table, NOW);
          const { table: read } = readObjectsFile(path);
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

  it('is another name of the last one where nothing has changed, and else says what one written anew says', () => {
    const folder = temporaryFolder();
    const paths = ['last', 'next', 'anew'].map((name) => join(folder, name)) as [string, string, string];
    const [last, next, anew] = paths;
    let [links, written] = [0, 0];
    fc.assert(
      fc.property(
        fc.array(fc.oneof(object, member), { maxLength: 12 }),
        fc.array(fc.record({ does: fc.constantFrom(...CHANGES), at: fc.nat() }), { maxLength: 3 }),
        fc.constantFrom(NOW - 3, NOW - 3, NOW),
        fc.boolean(),
        fc.boolean(),
        (rows, changes, now, keepLive, usesAll) => {
          for (const path of paths) rmSync(path, { force: true });
          const before = new ObjectTable();
          for (let number = 0; number < 4; number++)
            before.bundles.add({ version: 'v', until: NOW + 1, sha: randomBytes(32), size: 100 });
          for (const row of rows) {
            if ('bundle' in row) before.setMember(randomBytes(32), 0, { ...row, len: row.len % 100 });
            else before.set(randomBytes(32), 0, row);
          }
          const markAll = (table: ObjectTable): void => {
            for (let row = 0; row < table.size; row++) table.markUsed(row);
          };
          markAll(before);
          writeObjectsFile(last, before, NOW - 3);
          const { table } = readObjectsFile(last);
          if (usesAll) markAll(table);
          for (const change of changes) alter(table, change);
          writeObjectsFile(next, table, now, { keepLive, last });
          writeObjectsFile(anew, table, now, { keepLive });
          expect(readFileSync(next).equals(readFileSync(anew))).toBe(true);
          if (statSync(next).ino === statSync(last).ino) links++;
          else written++;
          if (changes.length === 0 && usesAll && now < NOW - 2)
            expect(statSync(next).ino).toBe(statSync(last).ino);
        },
      ),
      { numRuns: 300 },
    );
    expect(links).toBeGreaterThan(0);
    expect(written).toBeGreaterThan(0);
  });

  it('has the head in a file of its own', () => {
    const path = join(temporaryFolder(), 'head');
    writeHead(path, HEAD);
    expect(readHead(path)).toEqual(HEAD);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, -1));
    expect(() => readHead(path)).toThrow(FramesDamaged);
    writeHead(path, { ...HEAD, format: 2 as 3 });
    expect(() => readHead(path)).toThrow('one of another format');
  });

  it('takes more rows than a frame holds, and rows after those it was read with', () => {
    const path = join(temporaryFolder(), 'objects');
    const table = new ObjectTable();
    const shas = Array.from({ length: 40_000 }, () => randomBytes(32));
    for (const [index, sha] of shas.entries()) {
      table.set(sha, 0, { version: `version ${index}`, enc: undefined, until: NOW + index });
    }
    writeObjectsFile(path, table, NOW);
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
