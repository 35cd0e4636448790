import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { askShare } from '#src/archive/fence.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { readObjectsFile, writeObjectsFile } from '#src/catalog/objects-file.js';
import { bundleKey, contentKey } from '#src/manifest/keys.js';
import type { ListedVersion, ObjectStore } from '#src/store/port.js';
import { temporaryFolder } from '../../kit/temporary.js';

/** Written by the program before it kept sizes: three objects of their own, and a bundle with three members. */
const BEFORE = join(import.meta.dirname, '../../fixtures/catalog-without-sizes/objects');
const OBJECTS = [
  '87b30c1470c57d1d754683bf93b2ea8660f4f3010703528ad98cb5528c8bfd39',
  '9775bb6c49ecf6ad42577c5470f9b0d978f9f179b095f65299b49383e574a75e',
  'd81f4f79f0738c7c5389ce28c1cf91a4deb004ea98abae5205a4defe7f1b50cf',
];

function rowOf(table: ObjectTable, sha: string): number {
  return table.find(Buffer.from(sha, 'hex'));
}

/** A store that lists what a table knows, with these sizes. */
function listing(table: ObjectTable, object: number, bundle: number): ObjectStore {
  const versions: Pick<ListedVersion, 'key' | 'version' | 'size'>[] = [];
  for (const sha of OBJECTS)
    versions.push({ key: contentKey(sha), version: table.version(rowOf(table, sha)), size: object });
  const { sha, version } = table.bundles.get(0);
  versions.push({ key: bundleKey(sha.toString('hex')), version, size: bundle });
  return {
    list: async ({ prefix }: { prefix: string }) => ({
      versions: versions.filter(({ key }) => key.startsWith(prefix)),
      next: undefined,
    }),
  } as unknown as ObjectStore;
}

async function askAll(store: ObjectStore, table: ObjectTable) {
  const all = { missing: 0, otherLength: [] as string[] };
  for (let turn = 0; turn < 7; turn++) {
    const { missing, otherLength } = await askShare(store, table, turn);
    all.missing += missing;
    all.otherLength.push(...otherLength);
  }
  return all;
}

describe('stored sizes in a catalog', () => {
  it('are kept from one catalog to the next, of objects and of bundles', () => {
    const table = new ObjectTable();
    const sizes = [1, 70_000, 0xffff_ffff, undefined, 2 ** 32];
    const shas = sizes.map((size) => {
      const sha = randomBytes(32);
      table.set(sha, 0, { version: 'v', enc: 'gzip', until: 5, size });
      return sha;
    });
    const member = randomBytes(32);
    for (const stored of [33, undefined])
      table.bundles.add({ sha: randomBytes(32), version: 'b', until: 5, size: 9, stored });
    table.setMember(member, 0, { bundle: 0, off: 3, len: 9, enc: undefined });
    // What was a member and is an object of its own now has no length of before.
    const moved = randomBytes(32);
    table.setMember(moved, 0, { bundle: 0, off: 0, len: 77, enc: undefined });
    table.set(moved, 0, { version: 'v', enc: undefined, until: 5 });
    const path = join(temporaryFolder(), 'objects');
    writeObjectsFile(path, table, 0);
    const { table: read } = readObjectsFile(path);
    const read32 = shas.map((sha) => read.storedSize(read.find(sha)));
    expect(read32).toEqual([1, 70_000, 0xffff_ffff, undefined, undefined]);
    expect(read.storedSize(read.find(moved))).toBeUndefined();
    expect(read.member(read.find(member)).len).toBe(9);
    expect([read.bundles.get(0).stored, read.bundles.get(1).stored]).toEqual([33, undefined]);
  });

  it('are unknown in a catalog of before, and learned from the first listing that shows the object', async () => {
    const { table } = readObjectsFile(BEFORE);
    expect(table.size).toBe(6);
    for (const sha of OBJECTS) expect(table.storedSize(rowOf(table, sha))).toBeUndefined();
    expect(await askAll(listing(table, 1227, 537), table)).toEqual({ missing: 0, otherLength: [] });
    const path = join(temporaryFolder(), 'objects');
    writeObjectsFile(path, table, 0, { last: BEFORE });
    const { table: learned } = readObjectsFile(path);
    for (const sha of OBJECTS) expect(learned.storedSize(rowOf(learned, sha))).toBe(1227);
    expect(learned.bundles.get(0)).toMatchObject({ stored: 537, size: 93 });
    expect(await askAll(listing(learned, 1227, 537), learned)).toEqual({ missing: 0, otherLength: [] });
    expect(learned.changed).toBe(false);
  });

  it('are compared with what a listing shows: another size counts as gone', async () => {
    const { table } = readObjectsFile(BEFORE);
    await askAll(listing(table, 1227, 537), table);
    const { missing, otherLength } = await askAll(listing(table, 1226, 538), table);
    expect(missing).toBe(0);
    expect(otherLength).toHaveLength(4);
    for (let row = 0; row < table.size; row++) expect(table.isGone(row)).toBe(true);
  });

  it('take no more memory than the column of lengths, which all rows have', () => {
    const rows = 200_000;
    const table = new ObjectTable();
    table.reserve(rows);
    const path = join(temporaryFolder(), 'objects');
    const sha = Buffer.alloc(32);
    for (let row = 0; row < rows; row++) {
      sha.writeUInt32LE(row);
      table.set(sha, 0, { version: 'x', enc: undefined, until: 5, size: row + 1 });
    }
    writeObjectsFile(path, table, 0);
    const { table: read } = readObjectsFile(path);
    sha.writeUInt32LE(77);
    expect(read.storedSize(read.find(sha))).toBe(78);
  });
});
