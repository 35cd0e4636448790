import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OwnMemory } from '#src/own-memory.js';
import { describe, expect, it } from 'vitest';
import { FileBlocks, ContentRows } from '#src/archive/content-rows.js';
import { Keeper } from '#src/archive/keep.js';
import { ProblemLog } from '#src/archive/problem-log.js';
import { BlockRecords, EntryBlock, ONE_OBJECT } from '#src/catalog/entry-blocks.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import type { BytePath } from '#src/files/byte-path.js';
import { PACKED_STAT_SIZE } from '#src/files/stat.js';
import { checkedLine } from '#src/manifest/checked-line.js';
import { LineFault } from '#src/manifest/line-fault.js';
import { LONGEST_LINE } from '#src/manifest/lines.js';
import { memberHash } from '#src/manifest/member.js';
import type { FileEntry } from '#src/manifest/types.js';
import { restore } from '#src/restore/restore.js';
import type { ObjectStore } from '#src/store/port.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { directory, file } from '../manifest/build-manifest.js';

/** A file of so many different blocks. */
function withBlocks(count: number): FileEntry {
  const dat = Array.from({ length: count }, (_, index) => ({
    key: `content/${index.toString(16).padStart(64, '0')}`,
    ver: 'v',
    size: 4096,
  }));
  return { ...file('/image', 'x'), dat, size: count * 4096 };
}

/** What a version of content is called gets so long that a few hundred of them fill a line. */
function withLongVersions(store: ObjectStore, length: number): ObjectStore {
  const padding = '_'.repeat(length);
  const isContent = (key: string) => key.startsWith('content/');
  const long = (key: string, version: string) => (isContent(key) ? version + padding : version);
  const short = (version: string) => version.replace(padding, '');
  return {
    description: store.description,
    identity: store.identity,
    put: async (request) => {
      const { version } = await store.put(request);
      return { version: long(request.key, version) };
    },
    get: (key, version, range) => store.get(key, short(version), range),
    head: (key, version) => store.head(key, short(version)),
    list: async (request) => {
      const page = await store.list(request);
      const versions = page.versions.map((row) => ({ ...row, version: long(row.key, row.version) }));
      return { ...page, versions };
    },
    getRetention: (key, version) => store.getRetention(key, short(version)),
    extendRetention: (key, version, retention) => store.extendRetention(key, short(version), retention),
    capabilities: () => store.capabilities(),
    now: () => store.now(),
    close: () => store.close(),
  };
}

describe('a line that no reader takes', () => {
  it('is refused by its length, to the byte', () => {
    const folder = directory('/d');
    const left = LONGEST_LINE + 1 - checkedLine({ ...folder, xattr: { a: '' } }).length;
    // Base64 has a length that can be divided by four: the name makes up for it.
    const name = 'a'.repeat(1 + (left % 4));
    const value = 'A'.repeat(left - (left % 4));
    expect(checkedLine({ ...folder, xattr: { [name]: value } })).toHaveLength(LONGEST_LINE + 1);
    expect(() => checkedLine({ ...folder, xattr: { [`${name}a`]: value } })).toThrow(LineFault);
  });

  it('is refused where it names too many blocks, or is too long for any text', () => {
    expect(() => checkedLine(withBlocks(640_000))).toThrow(
      /would have \d+ bytes, and no reader takes more than 67108864/,
    );
    const tooLong = Object.defineProperty({}, 'toJSON', {
      value: () => {
        throw new RangeError('Invalid string length');
      },
    });
    expect(() => checkedLine({ ...directory('/d'), xattr: tooLong })).toThrow(/too long for memory/);
  });

  it('is that file’s failure, and all others restore; a larger block_size mends it', async () => {
    const machine = new BackupMachine();
    const withBlockSize = (blockSize: number): void => {
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, blockSize } };
    };
    withBlockSize(4096);
    machine.write('other', 'important');
    const image = Buffer.alloc(4096 * 1100);
    for (let block = 0; block < 1100; block++) image.writeUInt32LE(block, block * 4096);
    machine.write('image', image);
    const store = withLongVersions(machine.memory, 65_000);
    machine.store = store;

    const { summary, problems } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'partial', counts: { problems: 1 } });
    expect(problems).toEqual([
      expect.objectContaining({
        severity: 'failure',
        code: 'line-refused',
        path: join(machine.tree, 'image'),
        message: expect.stringMatching(
          /no reader takes .*1100 blocks: a larger \[content\] block_size makes fewer/,
        ),
      }),
    ]);
    const target = join(machine.folder, 'back');
    const run = summary.manifest ?? expect.fail('no manifest');
    await restore({ store, run, target, spoolFolder: machine.folder, numericOwners: true });
    expect(readFileSync(join(target, machine.tree, 'other'), 'utf8')).toBe('important');
    expect(existsSync(join(target, machine.tree, 'image'))).toBe(false);

    expect((await machine.archive()).summary).toMatchObject({ outcome: 'partial', stored: { objects: 0 } });
    withBlockSize(64 * 1024);
    const mended = await machine.archive();
    expect(mended.summary.outcome).toBe('complete');
    expect([...(await machine.entries(mended.summary)).keys()].toSorted()).toEqual(['image', 'other']);
  });

  it('is shortened where it is a problem’s: it has been counted, and the run is what it makes of it', async () => {
    const log = new ProblemLog(join(temporaryFolder(), 'problems'), () => undefined);
    log.add({
      severity: 'failure',
      code: 'missing',
      message: `x${'é'.repeat(LONGEST_LINE / 2)}`,
      path: '/p',
    });
    log.add({ severity: 'note', code: 'vanished', message: 'short', path: '/p' });
    const pieces: Buffer[] = [];
    for await (const piece of log.pieces()) pieces.push(Buffer.from(piece.view));
    const lines = Buffer.concat(pieces)
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      { typ: 'problem', severity: 'failure', code: 'missing', message: expect.stringMatching(/^xé+ …$/) },
      { typ: 'problem', severity: 'note', code: 'vanished', message: 'short', path: '/p' },
    ]);
    expect(log.outcome).toBe('partial');
  });

  it('is not kept from a run that wrote it', () => {
    const table = new ObjectTable();
    const sha = Buffer.alloc(32, 1);
    const tag = table.tag(table.set(sha, 0, { version: 'v', enc: undefined, until: 2 ** 31 }));
    const records = new BlockRecords();
    const stat = Buffer.alloc(PACKED_STAT_SIZE);
    const ends = [100, 100 + LONGEST_LINE + 1, 102 + 2 * LONGEST_LINE + 1];
    for (const [index, end] of ends.entries())
      records.add(`/${index}` as BytePath, end, ONE_OBJECT, stat, 0, sha, 0, tag);
    const payload = records.payload(ends.at(-1) ?? 0, { length: 1, hash: memberHash(Buffer.of(1)) });
    const block = new EntryBlock(
      OwnMemory.of(Buffer.from(Uint8Array.from(payload).buffer)),
      { index: 0, type: 2, start: 0, length: 0 },
      0,
    );
    const keeper = new Keeper({ isCurrent: () => true, renew: () => true }, table, {
      users: new Set(),
      groups: new Set(),
    });
    expect(ends.map((_, index) => keeper.keep(block, index))).toEqual([true, true, false]);
  });

  it('is foreseen while the file is read: no further block is stored, or kept in memory', async () => {
    const table = new ObjectTable();
    let stored = 0;
    const objects = {
      known: () => undefined,
      ensure: (sha: Uint8Array) => {
        stored++;
        return { accepted: undefined, row: table.set(sha, 0, { version: 'v', enc: undefined, until: 0 }) };
      },
      tag: (row: number) => table.tag(row),
    };
    const blocks = new FileBlocks(objects, new ContentRows(objects, table), 10);
    const bytes = { bytes: new Uint8Array(1), md5: undefined, enc: undefined };
    const read = (upTo: number): void => {
      for (let index = 0; index < upTo; index++) {
        const block = { sha: Buffer.alloc(32, index), size: 4096 };
        if (blocks.known(block, index) === false) blocks.block({ ...block, stored: bytes }, index);
      }
    };
    read(30);
    expect(stored).toBe(11);
    await expect(blocks.settle()).rejects.toThrow(/more blocks than there is room for/);
    // Read again, since it changed meanwhile, it has fewer.
    blocks.restart();
    read(10);
    expect((await blocks.settle()).dat).toHaveLength(10);
  });
});
