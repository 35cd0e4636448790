import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CatalogHead } from '#src/catalog/head.js';
import { Journal, type JournalEntry, readJournal } from '#src/catalog/journal.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { readHead, readObjectsFile, writeHead, writeObjectsFile } from '#src/catalog/objects-file.js';
import { UnprovenContent } from '#src/catalog/unproven-content.js';
import { FrameWriter, MAX_PAYLOAD } from '#src/catalog/frames.js';
import { LockDates } from '#src/store/lock-dates.js';
import * as edges from '../../kit/edges.js';
import { temporaryFolder } from '../../kit/temporary.js';

const count = fc.constantFrom(...edges.EDGES.filter((number) => Number.isSafeInteger(number) && number >= 0));
const enc = fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const);
const sha = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
/** As headers bring them. */
const version = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 40 }),
  fc.constantFrom('', 'v'.repeat(255), 'v'.repeat(256), 'ÿ'.repeat(1024)),
);
const LATEST = 2 ** 32 - 1;

describe('what is written of the machine’s memory is read', () => {
  it('the head, with every number and text at its ends', () => {
    const path = join(temporaryFolder(), 'head');
    const names = fc.dictionary(edges.text(255), fc.oneof(edges.text(255), count), { maxKeys: 4 });
    const head: fc.Arbitrary<CatalogHead> = fc
      .record({
        texts: fc.tuple(edges.text(200), edges.text(200), edges.text(200), edges.text(1024), version),
        numbers: fc.tuple(count, count, count),
        pickers: fc.dictionary(edges.text(255), count, { maxKeys: 3 }),
        missing: fc.array(edges.byteText(4095), { maxLength: 30 }),
        snapshots: fc.dictionary(edges.text(1020), count, { maxKeys: 3 }),
        users: names,
        groups: names,
        objectLock: fc.boolean(),
        bundleBelow: fc.oneof(count, fc.constant(undefined)),
        watched: fc.option(fc.record({ key: edges.text(1024), version, until: count, since: count }), {
          nil: undefined,
        }),
      })
      .map(({ texts: [store, backupName, run, key, version], numbers, bundleBelow, watched, ...rest }) => ({
        ...rest,
        format: 3,
        store,
        backupName,
        machine: '',
        run,
        manifest: { key, version },
        entriesAt: numbers[0],
        manifestUntil: numbers[1],
        turn: numbers[2],
        classes: { weekly: '2026-W47' },
        ...(bundleBelow === undefined ? {} : { bundleBelow }),
        ...(watched === undefined ? {} : { watched }),
      }));
    fc.assert(
      fc.property(head, (given) => {
        writeHead(path, given);
        expect(readHead(path)).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
    // What nobody of that name wrote is not there.
    const { pickers, snapshots } = readHead(path);
    expect([pickers['constructor'], snapshots['toString']]).toEqual([undefined, undefined]);
  });

  it('objects, members, bundles and what is unproven; a lock that ends after 2106 ends no earlier than that', () => {
    const path = join(temporaryFolder(), 'objects');
    const u32 = count.filter((number) => number < 2 ** 32);
    const object = fc.record({ sha, version, enc, until: count });
    const member = fc.record({ sha, bundle: fc.nat(1), off: u32, len: u32, enc });
    const unprovenRow = fc.record({ sha, version, enc, until: count, size: count });
    fc.assert(
      fc.property(
        fc.uniqueArray(object, { maxLength: 8, selector: ({ sha }) => sha.toString('hex') }),
        fc.uniqueArray(member, { maxLength: 8, selector: ({ sha }) => sha.toString('hex') }),
        fc.uniqueArray(unprovenRow, { maxLength: 8, selector: ({ sha }) => sha.toString('hex') }),
        fc.tuple(version, count, version, count),
        (objects, members, rows, [one, oneUntil, two, twoUntil]) => {
          const table = new ObjectTable();
          table.bundles.add({ sha: Buffer.alloc(32, 1), version: one, until: oneUntil, size: 2 ** 53 - 1 });
          table.bundles.add({ sha: Buffer.alloc(32, 2), version: two, until: twoUntil, size: 0 });
          for (const { sha, ...record } of members) table.setMember(sha, 0, record);
          for (const { sha, ...record } of objects) table.set(sha, 0, record);
          const unproven = new UnprovenContent();
          const md5 = Buffer.alloc(16, 7);
          for (const { sha, ...record } of rows) unproven.add(sha, 0, { ...record, md5 });
          writeObjectsFile(path, table, 0, { unproven });
          const read = readObjectsFile(path);
          for (const { sha, version, enc, until } of objects) {
            const row = read.table.find(sha);
            expect([read.table.version(row), read.table.encoding(row)]).toEqual([version, enc]);
            expect(read.table.until(row)).toBe(Math.min(until, LATEST));
          }
          const own = new Set(objects.map(({ sha }) => sha.toString('hex')));
          for (const { sha, bundle, off, len, enc } of members) {
            if (own.has(sha.toString('hex'))) continue;
            const row = read.table.find(sha);
            expect(read.table.member(row)).toEqual({ bundle, off, len, enc });
            expect(read.table.until(row)).toBe(bundle === 0 ? oneUntil : twoUntil);
          }
          for (const { sha, size, until, ...record } of rows)
            expect(read.unproven.find(sha, size, md5.toString('hex'))).toEqual({
              ...record,
              size,
              until: Math.min(until, LATEST),
            });
        },
      ),
    );
  });

  it('more bundles than a frame has room for', () => {
    const path = join(temporaryFolder(), 'objects');
    const table = new ObjectTable();
    const many = 70_000;
    for (let bundle = 0; bundle < many; bundle++) {
      const sha = Buffer.alloc(32);
      sha.writeUInt32LE(bundle);
      table.bundles.add({ sha, version: 'v'.repeat(1024), until: 1, size: 1 });
    }
    table.setMember(Buffer.alloc(32, 9), 0, { bundle: many - 1, off: 512, len: 3, enc: undefined });
    writeObjectsFile(path, table, 0);
    const { table: read } = readObjectsFile(path);
    expect(read.bundles.size).toBe(many);
    expect(read.member(read.find(Buffer.alloc(32, 9)))).toMatchObject({ bundle: many - 1, off: 512 });
  });

  it('and a frame that would not be read again is not written', () => {
    const frames = new FrameWriter(join(temporaryFolder(), 'frames'));
    expect(() => frames.write(1, Buffer.alloc(MAX_PAYLOAD + 1))).toThrow(/would not be read again/);
    frames.abandon();
  });

  it('a lock beyond 2106 is not due in every run, and neither forgotten', () => {
    const start = Date.UTC(2026, 10, 20);
    const locks = LockDates.ofRun(start, 36_500, 'GOVERNANCE');
    const until = locks.untilFor(Buffer.alloc(32));
    expect(until).toBeGreaterThan(LATEST);
    const table = new ObjectTable();
    const row = table.set(Buffer.alloc(32, 1), 0, { version: 'v', enc: undefined, until });
    expect(locks.isDue(table.until(row))).toBe(false);
    expect(locks.isDue(LATEST - 1)).toBe(true);
    table.setUntil(row, until);
    expect(table.until(row)).toBeGreaterThan(start / 1000);
  });
});

describe('the journal', () => {
  const head = { store: 'a store', backupName: 'a-backup' };
  const hex = sha.map((bytes) => bytes.toString('hex'));
  const withEnc = <T extends { enc: unknown }>(all: T): T => (all.enc === undefined ? without(all) : all);
  const object = fc.record({ sha: hex, version: edges.text(1024), enc, until: count }).map(withEnc);
  const member = fc.record({ sha: hex, off: count, len: count, enc }).map(withEnc);
  const bundle = fc.record({
    bundle: hex,
    version: edges.text(1024),
    until: count,
    members: fc.array(member, { maxLength: 5 }),
  });

  function without<T extends { enc: unknown }>(all: T): T {
    return Object.fromEntries(Object.entries(all).filter(([name]) => name !== 'enc')) as T;
  }

  it('gives back any entries in their order, as often as it is asked', () => {
    const path = join(temporaryFolder(), 'journal');
    fc.assert(
      fc.property(fc.array(fc.oneof(object, bundle), { maxLength: 20 }), (given) => {
        const entries = given as JournalEntry[];
        const journal = Journal.open(path, head, false);
        for (const entry of entries) journal.add(entry);
        journal.close();
        const read = readJournal(path, [head]);
        expect([...(read ?? [])]).toEqual(entries);
        expect([...(read ?? [])]).toEqual(entries);
        expect(read?.last).toEqual(entries.at(-1));
        expect(readJournal(path, [{ ...head, backupName: 'another' }])).toBeUndefined();
      }),
    );
  });

  /** An entry with as many members as it takes to be so long. */
  const longEntry = (bytes: number): JournalEntry => ({
    bundle: 'ab'.repeat(32),
    version: 'v',
    until: 1,
    members: Array.from({ length: Math.ceil(bytes / 90) }, (_, off) => ({
      sha: 'cd'.repeat(32),
      off,
      len: 1,
    })),
  });

  it('passes over lines that were torn, whatever pieces it is read in', () => {
    const path = join(temporaryFolder(), 'journal');
    const entries = [longEntry(700_000), longEntry(2_500_000), longEntry(10), longEntry(900_000)];
    const journal = Journal.open(path, head, false);
    for (const entry of entries) journal.add(entry);
    journal.close();
    expect([...(readJournal(path, [head]) ?? [])]).toEqual(entries);
    const whole = readFileSync(path);
    truncateSync(path, whole.length - 1);
    expect([...(readJournal(path, [head]) ?? [])]).toEqual(entries);
    truncateSync(path, whole.length - 2);
    expect([...(readJournal(path, [head]) ?? [])]).toEqual(entries.slice(0, 3));
    const more = Journal.open(path, head, true);
    more.add(longEntry(10));
    more.close();
    expect([...(readJournal(path, [head]) ?? [])]).toEqual([...entries.slice(0, 3), longEntry(10)]);
    writeFileSync(path, whole);
    const changed = Buffer.from(whole);
    changed[changed.length - 20] = 0x21;
    writeFileSync(path, changed);
    expect(readJournal(path, [head])?.last).toEqual(entries[2]);
  });

  it('of more bytes than a text can have is read as far as it makes sense', () => {
    const path = join(temporaryFolder(), 'journal');
    const journal = Journal.open(path, head, false);
    journal.add(longEntry(10));
    journal.close();
    // A hole, as a power cut may leave one.
    truncateSync(path, 700 << 20);
    appendFileSync(path, '\n');
    expect([...(readJournal(path, [head]) ?? [])]).toEqual([longEntry(10)]);
  });
});
