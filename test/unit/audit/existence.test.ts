import { createHash } from 'node:crypto';
import { findVersions } from '#src/audit/existence.js';
import { VersionTable } from '#src/audit/version-table.js';
import { MemoryStore } from '#src/store/memory.js';
import type { ListRequest, ObjectStore } from '#src/store/port.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const bytes = Buffer.from('x');

function contentKey(index: number): string {
  return `content/${createHash('sha256').update(String(index)).digest('hex')}`;
}

/** The store's listing in pages of a few rows, counted. */
function paged(
  store: MemoryStore,
  limit: number,
): { store: Pick<ObjectStore, 'list'>; asked: ListRequest[] } {
  const asked: ListRequest[] = [];
  const list = (request: ListRequest) => {
    asked.push(request);
    if (asked.length > 10_000) throw new Error('it asks without end');
    return store.list({ ...request, limit });
  };
  return { asked, store: { list } };
}

async function found(store: Pick<ObjectStore, 'list'>, table: VersionTable): Promise<Set<number>> {
  const rows = new Set<number>();
  await findVersions({ store, table, found: (row) => rows.add(row) });
  return rows;
}

describe('findVersions', () => {
  it('finds what is there, whatever lies between and on top', async () => {
    const names = fc.constantFrom('content/', 'snapshots/a/', 'snapshots/b/', '');
    const tails = fc.constantFrom(
      'a',
      'ab',
      'abc',
      'abd',
      'ac',
      'b',
      'b!',
      'b0',
      'ba',
      'bb',
      'c',
      'é',
      '\u{1F600}',
    );
    const keys = fc.oneof(
      fc.tuple(names, tails).map(([name, tail]) => name + tail),
      fc.integer({ min: 0, max: 8 }).map(contentKey),
      fc.integer({ min: 0, max: 8 }).map((index) => `${contentKey(index).slice(0, -1)}!`),
      fc.integer({ min: 0, max: 8 }).map((index) => `${contentKey(index)}!`),
    );
    const row = fc.record({
      key: keys,
      does: fc.constantFrom('wanted', 'wanted', 'other', 'marker', 'gone', 'never'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        async (rows, limit) => {
          const memory = new MemoryStore();
          const table = new VersionTable();
          const there = new Set<number>();
          for (const [index, { key, does }] of rows.entries()) {
            if (does === 'never') table.add({ key, ver: `never-${index}` });
            else if (does === 'marker') table.add({ key, ver: memory.addDeleteMarker(key).version });
            else {
              const { version } = memory.putForeign({ key, bytes });
              if (does !== 'other') {
                const added = table.add({ key, ver: version });
                if (does === 'wanted') there.add(added);
                else memory.deleteVersion(key, version);
              }
            }
          }
          expect(await found(paged(memory, limit).store, table)).toEqual(there);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('asks for a few keys of a large bucket one by one', async () => {
    const memory = new MemoryStore();
    for (let index = 0; index < 2000; index++) memory.putForeign({ key: contentKey(index), bytes });
    const table = new VersionTable();
    for (let index = 0; index < 2000; index += 400)
      for (const { key, version } of (await memory.list({ prefix: contentKey(index) })).versions)
        table.add({ key, ver: version });
    const { store, asked } = paged(memory, 10);
    expect((await found(store, table)).size).toBe(5);
    expect(asked.length).toBeLessThanOrEqual(5);
  });

  it('reads a bucket once where nearly all of it is wanted', async () => {
    const memory = new MemoryStore();
    const table = new VersionTable();
    for (let index = 0; index < 2000; index++) {
      const key = contentKey(index);
      const { version } = memory.putForeign({ key, bytes });
      if (index % 2) table.add({ key, ver: version });
    }
    const { store, asked } = paged(memory, 50);
    expect((await found(store, table)).size).toBe(1000);
    // 40 pages, and one more at most for each listing that goes on beside the others.
    expect(asked.length).toBeLessThanOrEqual(40 + 16);
  });
});
