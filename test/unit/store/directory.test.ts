import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MARKER_FILE, primarySlot } from '#src/store/directory-layout.js';
import { listVersions } from '#src/store/directory-listing.js';
import { whileLocked } from '#src/store/directory-lock.js';
import { DirectoryPuts } from '#src/store/directory-puts.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { listAll, type ListedVersion, type ObjectStore, type Retention } from '#src/store/port.js';
import { bodyOf, md5Of, readAll } from '../../kit/bodies.js';

const UNTIL = 4_000_000_000;
const lock = (until = UNTIL): Retention => ({ mode: 'GOVERNANCE', until });
const isRoot = process.getuid?.() === 0;

let folder: string;
let root: string;
const stores: ObjectStore[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'directory-'));
  root = join(folder, 'root');
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(folder, { recursive: true });
});

async function openStore(path = root): Promise<ObjectStore> {
  const store = await openDirectoryStore({ path, create: true });
  stores.push(store);
  return store;
}

async function rowsOf(store: ObjectStore, prefix = ''): Promise<ListedVersion[]> {
  const rows: ListedVersion[] = [];
  for await (const row of listAll(store, { prefix })) rows.push(row);
  return rows;
}

describe('files of a directory store', () => {
  it('are the stored bytes at the path of the key, read-only, the lock beside them', async () => {
    const store = await openStore();
    const { version } = await store.put({ key: 'content/abc', body: bodyOf('bytes'), retention: lock() });
    expect(await readFile(join(root, 'content/abc'), 'utf8')).toBe('bytes');
    expect((await lstat(join(root, 'content/abc'))).mode & 0o7777).toBe(0o444);
    expect(JSON.parse(await readFile(join(root, 'retention/content/abc.json'), 'utf8'))).toMatchObject({
      version,
      size: 5,
      retention: { mode: 'GOVERNANCE', until: UNTIL },
    });
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('lie in folders that others than owner and group cannot enter', async () => {
    await mkdir(root, { mode: 0o755 });
    await chmod(root, 0o2775);
    await (await openStore()).put({ key: 'a/b/c', body: bodyOf(''), retention: lock() });
    for (const path of ['a', 'a/b', 'tmp', 'retention/a/b'])
      expect((await lstat(join(root, path))).mode & 0o777, path).toBe(0o770);
  });

  it('are not made by who only looks at where a store may be', async () => {
    const store = await openDirectoryStore({ path: root, mayBeAbsent: true });
    stores.push(store);
    expect(store.identity).toBe(`directory:${root}`);
    expect(await store.list({ prefix: '' })).toEqual({ versions: [], next: undefined });
    expect(Math.abs((await store.now()) - Date.now())).toBeLessThan(5000);
    const put = store.put({ key: 'a', body: bodyOf(''), retention: lock() });
    await expect(put).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('marker') });
    expect(await readdir(folder)).toEqual([]);
  });

  it('keep out temporary files that killed runs left, those of living ones not', async () => {
    await mkdir(join(root, 'tmp'), { recursive: true });
    for (const name of ['old.tmp', 'young.tmp', 'other']) await writeFile(join(root, 'tmp', name), '');
    const old = Date.now() / 1000 - 3 * 24 * 3600;
    for (const name of ['old.tmp', 'other']) await utimes(join(root, 'tmp', name), old, old);
    await (await openStore()).put({ key: 'a', body: bodyOf(''), retention: lock() });
    expect((await readdir(join(root, 'tmp'))).sort()).toEqual(['other', 'young.tmp']);
  });
});

describe('opening a directory store', () => {
  it('says NOT_FOUND to a reader where there is none', async () => {
    await expect(openDirectoryStore({ path: root })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('says CONFIG where the path is a file', async () => {
    await writeFile(root, '');
    await expect(openDirectoryStore({ path: root, create: true })).rejects.toMatchObject({ code: 'CONFIG' });
  });

  it('is the same store by every name', async () => {
    await mkdir(root);
    await symlink(root, join(folder, 'link'));
    expect((await openStore(join(folder, 'link'))).identity).toBe((await openStore()).identity);
    expect((await openStore(join(folder, 'link', 'new'))).identity).toMatch(
      new RegExp(`^directory:${root}/new#[0-9a-f]{32}$`),
    );
  });
});

describe('keys of a directory store', () => {
  it.each([
    ['empty parts', ['', '/a', 'a/', 'a//b']],
    ['ways out', ['.', '..', 'a/../b', '../a', 'a/..', './a']],
    ['no text', ['a\0b', '\ud800']],
    ['what is its own', ['tmp/x', 'tmp', 'retention/a.json', `a@${'0'.repeat(32)}`, MARKER_FILE]],
    ['what has no room', ['x'.repeat(218), 'ü'.repeat(110)]],
  ])('refuses %s', async (_, keys) => {
    const store = await openStore();
    const refused = { code: 'USAGE' };
    for (const key of keys) {
      await expect(store.put({ key, body: bodyOf('x'), retention: lock() }), key).rejects.toMatchObject(
        refused,
      );
      await expect(store.get(key, '0'.repeat(32)), key).rejects.toMatchObject(refused);
    }
    expect(await readdir(root)).toEqual([MARKER_FILE]);
  });

  it('takes what only looks odd', async () => {
    const store = await openStore();
    for (const key of [
      'a@b',
      `@${'0'.repeat(31)}`,
      'x'.repeat(217),
      '...',
      'a.json',
      'b/tmp',
      '-rf',
      'c\\d',
      '@',
    ])
      await store.put({ key, body: bodyOf(key), retention: lock() });
    expect(await rowsOf(store)).toHaveLength(9);
  });

  it('never writes through a link that stands in the root', async () => {
    const outside = join(folder, 'outside');
    await mkdir(outside);
    await mkdir(root);
    await symlink(outside, join(root, 'content'));
    await symlink(join(outside, 'target'), join(root, 'single'));
    const store = await openStore();
    await expect(store.put({ key: 'content/a', body: bodyOf('x'), retention: lock() })).rejects.toMatchObject(
      {
        code: 'STORE_FAILED',
      },
    );
    await store.put({ key: 'single', body: bodyOf('x'), retention: lock() });
    expect(await readdir(outside)).toEqual([]);
    expect(await rowsOf(store)).toHaveLength(1);
  });

  it('says what is in the way where one key is a folder of another', async () => {
    const store = await openStore();
    await store.put({ key: 'a', body: bodyOf('x'), retention: lock() });
    await expect(store.put({ key: 'a/b', body: bodyOf('x'), retention: lock() })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('in the way'),
    });
  });
});

describe('two machines on one directory', () => {
  it('both keep their bytes under one key', async () => {
    const [one, two] = [await openStore(), await openStore()];
    for (let round = 0; round < 20; round += 1) {
      const key = `race/${round}`;
      const [a, b] = await Promise.all([
        one.put({ key, body: bodyOf(`one ${round}`), retention: lock() }),
        two.put({ key, body: bodyOf(`two ${round}`), retention: lock() }),
      ]);
      expect((await readAll(await two.get(key, a.version))).toString()).toBe(`one ${round}`);
      expect((await readAll(await one.get(key, b.version))).toString()).toBe(`two ${round}`);
    }
    expect(await rowsOf(one)).toHaveLength(40);
    expect((await rowsOf(one)).filter((row) => row.isLatest)).toHaveLength(20);
  });

  it('share one version of the same bytes, under the later lock', async () => {
    const [one, two] = [await openStore(), await openStore()];
    for (let round = 0; round < 20; round += 1) {
      const put = { key: `race/${round}`, body: bodyOf(`same ${round}`) };
      const [a] = await Promise.all([
        one.put({ ...put, retention: lock(UNTIL + (round % 2)) }),
        two.put({ ...put, retention: lock(UNTIL + ((round + 1) % 2)) }),
      ]);
      expect(await one.getRetention(put.key, a.version)).toEqual(lock(UNTIL + 1));
    }
    expect(await rowsOf(one)).toHaveLength(20);
  });

  it('never lose the longer lock, in processes of their own', async () => {
    const store = await openStore();
    const { version } = await store.put({ key: 'k', body: bodyOf('k'), retention: lock(1) });
    const script = `
      import { openDirectoryStore } from '#src/store/directory.js';
      const store = await openDirectoryStore({ path: process.argv[1] });
      let last = 1;
      for (let until = Number(process.argv[3]); until < 400; until += 3)
        await store.extendRetention('k', process.argv[2], { mode: 'GOVERNANCE', until }).then(
          async () => {
            const shown = (await store.getRetention('k', process.argv[2])).until;
            if (shown < until) throw new Error('lost ' + until + ', shows ' + shown);
          },
          (error) => { if (error.code !== 'ACCESS_DENIED') throw error; },
        );
      await store.close();`;
    const children = [2, 3, 4].map((start) => runScript(script, [root, version, String(start)]));
    await Promise.all(children.map(({ done }) => done));
    expect(await store.getRetention('k', version)).toEqual(lock(399));
  });
});

describe('a version that is removed at the same moment', () => {
  /** Does something to a version while its sidecar is locked and then removed, as `expire` does. */
  async function whileRemoved<T>(store: ObjectStore, work: (version: string) => Promise<T>): Promise<T> {
    const { version } = await store.put({ key: 'k', body: bodyOf('bytes'), retention: lock(1) });
    const slot = primarySlot(root, 'k');
    let done: Promise<T> | undefined;
    await whileLocked(slot.sidecar, async () => {
      done = work(version);
      done.catch(() => {});
      // It has seen the version, and waits for the lock, at the latest when as many turns have passed.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      await rm(slot.data);
      await rm(slot.sidecar);
    });
    if (done === undefined) throw new Error('not begun');
    return done;
  }

  it('is NOT_FOUND for who extends its lock', async () => {
    const store = await openStore();
    const extended = whileRemoved(store, (version) => store.extendRetention('k', version, lock()));
    await expect(extended).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is stored by who stores the same bytes', async () => {
    const store = await openStore();
    const { version } = await whileRemoved(store, () =>
      store.put({ key: 'k', body: bodyOf('bytes'), retention: lock() }),
    );
    expect((await readAll(await store.get('k', version))).toString()).toBe('bytes');
    expect(await store.getRetention('k', version)).toEqual(lock());
  });

  it('leaves the lock of other bytes alone that took its place', async () => {
    const store = await openStore();
    const { version } = await store.put({ key: 'k', body: bodyOf('first'), retention: lock(1) });
    const puts = new DirectoryPuts(root, undefined, async () => Date.now());
    const slot = primarySlot(root, 'k');
    for (const path of [slot.data, slot.sidecar]) await rm(path);
    const other = await store.put({ key: 'k', body: bodyOf('second'), retention: lock(2) });
    expect(await puts.extend('k', version, slot, lock())).toBe(false);
    expect(await store.getRetention('k', other.version)).toEqual(lock(2));
    await puts.close();
  });
});

describe('what a crash leaves', () => {
  it('is only whole versions with their locks, wherever the process was killed', async () => {
    const script = `
      import { createHash } from 'node:crypto';
      import { openDirectoryStore } from '#src/store/directory.js';
      const store = await openDirectoryStore({ path: process.argv[1], create: true });
      const sha = (text) => createHash('md5').update(text).digest('hex');
      let next = 0;
      await Promise.all(Array.from({ length: 8 }, async () => {
        for (;;) {
          const bytes = Buffer.from(String(next++).repeat(2000));
          const { version } = await store.put({ key: 'content/' + sha(bytes), body: { bytes, size: bytes.length, md5: sha(bytes) },
            retention: { mode: 'GOVERNANCE', until: ${UNTIL} } });
          process.stdout.write(version + '\\n');
        }
      }));`;
    for (const bytesSeen of [1, 2000, 5000]) {
      const { child, done } = runScript(script, [root]);
      let confirmed = '';
      for await (const chunk of child.stdout.setEncoding('utf8')) {
        confirmed += String(chunk);
        if (confirmed.length >= bytesSeen) child.kill('SIGKILL');
      }
      await expect(done).rejects.toThrow('SIGKILL');
      const store = await openStore();
      const rows = await rowsOf(store);
      for (const { key, version } of rows) {
        expect(md5Of(await readAll(await store.get(key, version)))).toBe(version);
        expect(await store.getRetention(key, version)).toEqual(lock());
      }
      const listed = new Set(rows.map((row) => row.version));
      for (const version of confirmed.split('\n').slice(0, -1)) expect(listed.has(version)).toBe(true);
    }
  });

  it('a lock without its data is not listed, and completed by the same bytes', async () => {
    const store = await openStore();
    const { version } = await store.put({ key: 'k', body: bodyOf('one'), retention: lock(5) });
    await rm(join(root, 'k'));
    expect(await rowsOf(store)).toEqual([]);
    await expect(store.head('k', version)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const other = await store.put({ key: 'k', body: bodyOf('two'), retention: lock() });
    expect((await rowsOf(store)).map((row) => row.version)).toEqual([other.version]);
    await store.put({ key: 'k', body: bodyOf('one'), retention: lock(4) });
    expect((await readAll(await store.get('k', version))).toString()).toBe('one');
    expect(await store.getRetention('k', version)).toEqual(lock(5));
    expect(await rowsOf(store)).toHaveLength(2);
  });

  it('data cut short or altered is stored anew by the same bytes', async () => {
    const store = await openStore();
    const put = { key: 'k', body: bodyOf('whole'), retention: lock() };
    const { version } = await store.put(put);
    await truncate(join(root, 'k'), 2);
    expect((await rowsOf(store))[0]?.size).toBe(2);
    await store.put(put);
    await chmod(join(root, 'k'), 0o644);
    await writeFile(join(root, 'k'), 'while');
    await store.put(put);
    expect((await readAll(await store.get('k', version))).toString()).toBe('whole');
  });

  it('a lock that cannot be read claims its place, and hides no other bytes', async () => {
    const store = await openStore();
    const first = await store.put({ key: 'k', body: bodyOf('first'), retention: lock() });
    await writeFile(join(root, 'retention/k.json'), '{"version":');
    expect(await rowsOf(store)).toEqual([]);
    // Restoring works without it.
    expect((await readAll(await store.get('k', first.version))).toString()).toBe('first');
    const second = await store.put({ key: 'k', body: bodyOf('second'), retention: lock() });
    await store.put({ key: 'k', body: bodyOf('first'), retention: lock() });
    expect(await rowsOf(store)).toHaveLength(2);
    await writeFile(join(root, `retention/k@${second.version}.json`), '');
    await store.put({ key: 'k', body: bodyOf('second'), retention: lock() });
    for (const [version, text] of [
      [first.version, 'first'],
      [second.version, 'second'],
    ] as const)
      expect((await readAll(await store.get('k', version))).toString()).toBe(text);
    expect(await rowsOf(store)).toHaveLength(2);
  });

  it('data whose lock was lost is read by its MD5, taken on by the same bytes, and never written over', async () => {
    const store = await openStore();
    const first = await store.put({ key: 'k', body: bodyOf('first'), retention: lock() });
    await rm(join(root, 'retention'), { recursive: true });
    expect((await readAll(await store.get('k', first.version))).toString()).toBe('first');
    await store.put({ key: 'k', body: bodyOf('second'), retention: lock() });
    expect((await readAll(await store.get('k', first.version))).toString()).toBe('first');
    await store.put({ key: 'k', body: bodyOf('first'), retention: lock() });
    expect(await store.getRetention('k', first.version)).toEqual(lock());
    expect(await rowsOf(store)).toHaveLength(2);
  });

  it('folders removed behind its back are made again', async () => {
    const store = await openStore();
    await store.put({ key: 'a/b', body: bodyOf('x'), retention: lock() });
    for (const name of ['a', 'tmp', 'retention']) await rm(join(root, name), { recursive: true });
    await store.put({ key: 'a/c', body: bodyOf('y'), retention: lock() });
    expect(await rowsOf(store)).toHaveLength(1);
  });
});

describe('a directory store that cannot write', () => {
  it.skipIf(!isRoot)(
    'says so when its file system is full, and leaves nothing half-written (root: mounts a tmpfs)',
    async () => {
      await mkdir(root);
      await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', root]);
      try {
        const store = await openDirectoryStore({ path: root, create: true });
        const put = store.put({ key: 'big', body: bodyOf(Buffer.alloc(600_000)), retention: lock() });
        await expect(put).rejects.toMatchObject({
          code: 'SYSTEM',
          message: expect.stringContaining('no room'),
        });
        expect(await readdir(join(root, 'tmp'))).toEqual([]);
        await store.put({ key: 'small', body: bodyOf('x'), retention: lock() });
        expect(await rowsOf(store)).toHaveLength(1);
        await store.close();
      } finally {
        await run('umount', [root]);
      }
    },
  );
});

describe('listing a large folder', () => {
  it('comes in the same order in several passes', async () => {
    const store = await openStore();
    for (let index = 0; index < 60; index += 1)
      await store.put({
        key: `n/${index * 7}${index % 3 === 0 ? '/x' : ''}`,
        body: bodyOf(''),
        retention: lock(),
      });
    await store.put({ key: 'n/7', body: bodyOf('again'), retention: lock() });
    const passes: ListedVersion[] = [];
    for await (const row of listVersions(root, { prefix: 'n/', window: 7 })) passes.push(row);
    expect(passes).toEqual(await rowsOf(store, 'n/'));
    expect(passes).toHaveLength(61);
  });
});

describe('the time of a directory', () => {
  it("is this machine's where no file can be made, for whatever reason", async () => {
    // Says that there is no such file.
    const store = await openDirectoryStore({ path: '/proc', machineTime: () => 1_000_000 });
    stores.push(store);
    const time = await store.now();
    expect(time).toBeGreaterThanOrEqual(1_000_000);
    expect(time).toBeLessThan(1_060_000);
  });
});

function runScript(script: string, args: string[]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const done = once(child, 'close').then(([code, signal]: unknown[]) => {
    if (code !== 0) throw new Error(`ended with ${String(code ?? signal)}`);
  });
  done.catch(() => {});
  child.stdout.pause();
  return { child, done };
}

async function run(program: string, args: string[]): Promise<void> {
  const [code] = (await once(spawn(program, args, { stdio: 'inherit' }), 'close')) as unknown[];
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`);
}
