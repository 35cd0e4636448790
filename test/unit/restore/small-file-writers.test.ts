import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BytePath } from '#src/files/byte-path.js';
import { type SafeDir, temporaryName } from '#src/files/safe-dir.js';
import type { FileEntry } from '#src/manifest/types.js';
import { BundlePlan } from '#src/restore/bundle-plan.js';
import { ContentFetcher } from '#src/restore/fetch-content.js';
import { FileWriter } from '#src/restore/file-writer.js';
import { MetadataSetter } from '#src/restore/metadata.js';
import type { LentBytes } from '#src/restore/section-memory.js';
import type { LocalPart, SmallFile } from '#src/restore/small-files.js';
import { SmallFileWriters } from '#src/restore/small-file-writers.js';
import { OwnerIds } from '#src/files/owners.js';
import { file as fileEntry, sha256 } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';
import { LocalStore } from './local-store.js';
import { openedFolder } from './opened-folder.js';

let folder: string;
let dir: SafeDir;
let writers: SmallFileWriters;
beforeEach(() => {
  ({ folder, dir } = openedFolder());
  writers = new SmallFileWriters({ threads: 2 });
  outstanding = 0;
});
afterEach(async () => {
  await writers.close();
  dir.close();
  expect(readdirSync(folder).filter((name) => name.startsWith('.s3-sysbackup'))).toEqual([]);
  expect(outstanding).toBe(0);
  rmSync(folder, { recursive: true });
});

function job(name: string, content: Buffer, more: Partial<SmallFile> = {}): SmallFile {
  return {
    folder: dir.fd,
    name: name as BytePath,
    temporary: temporaryName(),
    enc: undefined,
    what: `object of ${name}`,
    size: content.length,
    sha: sha256(content),
    wanted: { mode: 0o640 },
    wantsInode: false,
    ...more,
  };
}
/** Of what was lent in the running test, what has not been released. */
let outstanding = 0;
const lent = (bytes: Uint8Array): LentBytes => {
  outstanding += 1;
  return { bytes, release: () => (outstanding -= 1) };
};
const read = (name: string): Buffer => readFileSync(join(folder, name));
const contentOf = (index: number): Buffer => Buffer.from(`content ${index} `.repeat(index));

describe('SmallFileWriters', () => {
  it('write what they are given, however it is encoded', async () => {
    const contents = Array.from({ length: 700 }, (_, index) => contentOf(index));
    const written = contents.map((content, index) =>
      index % 3 === 0
        ? writers.write(job(`f${index}`, content), lent(content))
        : writers.write(job(`f${index}`, content, { enc: 'gzip' }), lent(gzipSync(content))),
    );
    await Promise.all(written);
    for (const [index, content] of contents.entries()) {
      expect(read(`f${index}`).equals(content)).toBe(true);
      expect(lstatSync(join(folder, `f${index}`)).mode & 0o7777).toBe(0o640);
    }
  });

  it('write what lies in memory that all threads share, wherever it begins there', async () => {
    const contents = Array.from({ length: 300 }, (_, index) => contentOf(index));
    const memories = [0, 1].map(() => Buffer.from(new SharedArrayBuffer(1 << 20)));
    let at = 7;
    const written = contents.map((content, index) => {
      const stored = index % 5 === 0 ? content : gzipSync(content);
      // Each third has memory of its own.
      const into = memories[index % 3]?.subarray(at, (at += stored.length));
      const bytes = into ? (into.set(stored), into) : stored;
      return writers.write(job(`f${index}`, content, index % 5 === 0 ? {} : { enc: 'gzip' }), lent(bytes));
    });
    await Promise.all(written);
    for (const [index, content] of contents.entries()) expect(read(`f${index}`).equals(content)).toBe(true);
  });

  it('tell the inode where it is asked for, and what of the metadata was not set', async () => {
    const content = Buffer.from('text');
    const wanted = { xattr: { 'user.': '' }, mode: 0o600 };
    const written = await writers.write(job('a', content, { wantsInode: true, wanted }), lent(content));
    expect(written).toMatchObject({
      inodeId: expect.stringMatching(new RegExp(`:${lstatSync(join(folder, 'a')).ino}$`)),
      notSet: [{ what: 'xattr', name: 'user.' }],
    });
  });

  it('leave holes where pages are zero', async () => {
    const content = Buffer.alloc(1 << 20);
    content.write('start');
    content.write('middle', 600_000);
    await writers.write(job('sparse', content, { enc: 'gzip' }), lent(gzipSync(content)));
    expect(read('sparse').equals(content)).toBe(true);
    expect(lstatSync(join(folder, 'sparse')).blocks * 512).toBeLessThan(100_000);
  });

  it.each([
    ['is cut', gzipSync('neighbour 2').subarray(0, -3)],
    ['is no gzip', Buffer.from('no gzip at all')],
    ['is another', gzipSync('neighbour 3')],
    ['is longer', gzipSync('neighbour 2 and more')],
    ['is shorter', gzipSync('neigh')],
    ['is followed by something', Buffer.concat([gzipSync('neighbour 2'), Buffer.from('more')])],
    ['is empty', Buffer.alloc(0)],
  ])('refuse one whose object %s, and its neighbours are right', async (_what, stored) => {
    const results = await Promise.allSettled(
      [0, 1, 2, 3, 4].map((index) => {
        const content = Buffer.from(`neighbour ${index}`);
        const bytes = index === 2 ? stored : gzipSync(content);
        return writers.write(job(`n${index}`, content, { enc: 'gzip' }), lent(bytes));
      }),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(results[2]).toMatchObject({ reason: { code: 'DAMAGED' } });
    expect(readdirSync(folder).sort()).toEqual(['n0', 'n1', 'n3', 'n4']);
    expect(read('n3').toString()).toBe('neighbour 3');
  });

  it('say what the file system refuses', async () => {
    mkdirSync(join(folder, 'a folder'));
    const content = Buffer.from('text');
    const refused = writers.write(job('a folder', content), lent(content));
    await expect(refused).rejects.toMatchObject({ code: 'EISDIR' });
    const gone = writers.write(job('b', content, { folder: 1_000_000 }), lent(content));
    await expect(gone).rejects.toMatchObject({ code: 'EBADF' });
  });
});

describe('threads that read the store', () => {
  let store: LocalStore;
  let local: SmallFileWriters;
  beforeEach(() => {
    store = new LocalStore(join(folder, 'store'));
    local = new SmallFileWriters({ threads: 2, localRoot: store.localRoot });
  });
  afterEach(() => local.close());
  const NOTHING = { bytes: new Uint8Array(0), release: () => undefined };

  /** A bundle of these contents, packed, with something between them. */
  function bundled(contents: readonly Buffer[]): LocalPart[] {
    const key = `bundles/${'b'.repeat(64)}.tar`;
    const pieces = contents.flatMap((content) => [Buffer.alloc(512), gzipSync(content)]);
    const ver = store.add(key, Buffer.concat(pieces));
    let off = 0;
    return contents.map((content, index) => {
      off += 512;
      const len = pieces[2 * index + 1]?.length ?? 0;
      const part: LocalPart = { key, ver, enc: 'gzip', off, len, size: content.length, times: 1 };
      off += len;
      return part;
    });
  }

  it('write members of bundles with few readings', async () => {
    const contents = Array.from({ length: 300 }, (_, index) => contentOf(index + 1));
    const parts = bundled(contents);
    await Promise.all(
      contents.map((content, index) =>
        local.write(job(`f${index}`, content, { parts: [parts[index] as LocalPart] }), NOTHING),
      ),
    );
    for (const [index, content] of contents.entries()) expect(read(`f${index}`).equals(content)).toBe(true);
    expect(local.requests).toBeLessThan(10);
  });

  it('write a file block by block, with its repeats and holes', async () => {
    const blocks = [Buffer.from('first'.repeat(2000)), Buffer.alloc(8192), Buffer.from('last')];
    const content = Buffer.concat([
      ...blocks.slice(0, 2),
      ...Array.from({ length: 9 }, () => blocks[1] as Buffer),
      blocks[2] as Buffer,
    ]);
    const parts = blocks.map((block, index): LocalPart => {
      const key = `content/${sha256(block)}`;
      const ver = store.add(key, gzipSync(block));
      const times = index === 1 ? 10 : 1;
      return { key, ver, enc: 'gzip', off: undefined, len: undefined, size: block.length, times };
    });
    await local.write(job('long', content, { parts }), NOTHING);
    expect(read('long').equals(content)).toBe(true);
    expect(lstatSync(join(folder, 'long')).blocks * 512).toBeLessThan(40_000);
    const [, zeros] = parts as [LocalPart, LocalPart];
    await local.write(job('hole', Buffer.alloc(81_920), { parts: [zeros] }), NOTHING);
    expect(read('hole').equals(Buffer.alloc(81_920))).toBe(true);
    const other = { parts, sha: sha256(Buffer.from('other')) };
    await expect(local.write(job('wrong', content, other), NOTHING)).rejects.toMatchObject({
      code: 'DAMAGED',
    });
    const missing = { parts: [...parts, { ...(parts[0] as LocalPart), ver: 'f'.repeat(32) }] };
    expect(await local.write(job('missing', content, missing), NOTHING)).toBe('undone');
    expect(readdirSync(folder).sort()).toEqual(['hole', 'long', 'store']);
  });

  it('leave undone what they cannot read, and write its neighbours', async () => {
    const contents = [1, 2, 3].map(contentOf);
    const parts = bundled(contents);
    const outside = { ...(parts[1] as LocalPart), key: '../../etc/passwd' };
    const behind = { ...(parts[1] as LocalPart), off: 1_000_000 };
    const results = await Promise.all(
      [parts[0], outside, behind, parts[2]].map((part, index) => {
        const content = contents[[0, 1, 1, 2][index] as number] as Buffer;
        return local.write(job(`f${index}`, content, { parts: [part as LocalPart] }), NOTHING);
      }),
    );
    expect(results.map((result) => result === 'undone')).toEqual([false, true, true, false]);
    expect(readdirSync(folder).sort()).toEqual(['f0', 'f3', 'store']);
    expect(read('f3').equals(contents[2] as Buffer)).toBe(true);
  });

  it('write empty files', async () => {
    await local.write(job('empty', Buffer.alloc(0), { parts: [] }), NOTHING);
    expect(read('empty')).toHaveLength(0);
  });
});

describe('a thread that crashes', () => {
  /** Leaves a temporary file behind, as one that crashes in the middle does. */
  const crashing = (): Worker =>
    new Worker(
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', ({ fields }) => {
         for (const temporary of fields.filter((field) => String(field).startsWith('.s3-sysbackup'))) require('node:fs').writeFileSync(process.env.FOLDER + '/' + temporary, 'half');
         throw new Error('out of order');
       });`,
      { eval: true, env: { FOLDER: folder } },
    );

  it('leaves its files undone and nothing behind, and no other is started', async () => {
    const reasons: string[] = [];
    let started = 0;
    const start = (): Worker => {
      started += 1;
      return crashing();
    };
    const crash = new SmallFileWriters({ threads: 2, start, onCrash: (reason) => reasons.push(reason) });
    const content = Buffer.from('text');
    const one = [0, 1, 2].map((index) => crash.write(job(`f${index}`, content), lent(content)));
    expect(await Promise.all(one)).toEqual(['undone', 'undone', 'undone']);
    expect(await crash.write(job('later', content), lent(content))).toBe('undone');
    await crash.close();
    expect([started, reasons]).toEqual([1, ['out of order']]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does not keep a file from being restored', async () => {
    const store = new FakeStore();
    const content = Buffer.from('text');
    const key = `content/${sha256(content)}`;
    const ver = store.add(key, gzipSync(content));
    const writer = new FileWriter({
      fetcher: new ContentFetcher(store, { concurrency: 2 }),
      metadata: new MetadataSetter(new OwnerIds(), true),
      threads: new SmallFileWriters({ threads: 1, start: crashing }),
      isLocal: false,
      onFetched: () => undefined,
      signal: undefined,
    });
    const own = { o: process.geteuid?.() ?? 0, g: process.getegid?.() ?? 0 };
    const entry = fileEntry('/a', content, { dat: { key, ver, enc: 'gzip' }, ...own });
    let bytes = 0;
    const { notSet } = await writer.write(dir, 'a' as BytePath, entry, (more) => {
      bytes += more;
    });
    expect([read('a').toString(), notSet, bytes]).toEqual(['text', [], 4]);
  });
});

describe('a file whose content has come with that of another', () => {
  it('is not written any more when all is stopped, and says so', async () => {
    const store = new FakeStore();
    const contents = ['one', 'two'].map((text) => Buffer.from(text));
    const ver = store.add('bundles/a.tar', Buffer.concat(contents));
    const stop = new AbortController();
    const plan = new BundlePlan();
    const entries = contents.map((content, index) =>
      fileEntry(`/${index}`, content, { dat: { key: 'bundles/a.tar', ver, off: index * 3, len: 3 } }),
    );
    for (const entry of entries) plan.add(entry);
    const writer = new FileWriter({
      fetcher: new ContentFetcher(store, { concurrency: 2, plan, signal: stop.signal }),
      metadata: new MetadataSetter(new OwnerIds(), true),
      threads: writers,
      isLocal: false,
      onFetched: () => undefined,
      signal: stop.signal,
    });
    const [first, second] = entries as [FileEntry, FileEntry];
    await writer.write(dir, 'first' as BytePath, first, () => undefined);
    stop.abort();
    await expect(writer.write(dir, 'second' as BytePath, second, () => undefined)).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(store.gets).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['first']);
  });
});
