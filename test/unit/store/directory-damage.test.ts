import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '#src/store/directory.js';
import { openStore } from '#src/store/open.js';
import { type HiddenData, listAll, type ObjectStore, type Retention } from '#src/store/port.js';
import { bodyOf, readAll } from '../../kit/bodies.js';
import { temporaryFolder } from '../../kit/temporary.js';

const LOCK: Retention = { mode: 'GOVERNANCE', until: 4_000_000_000 };

async function opened(): Promise<{ root: string; store: ObjectStore }> {
  const root = join(temporaryFolder(), 'store');
  const store = await openDirectoryStore({ path: root, create: true });
  onTestFinished(() => store.close());
  return { root, store };
}

async function put(store: ObjectStore, key: string, text = key): Promise<string> {
  return (await store.put({ key, body: bodyOf(text), retention: LOCK })).version;
}

async function listed(
  store: Pick<ObjectStore, 'list'>,
  prefix = '',
): Promise<{ keys: string[]; hidden: HiddenData[] }> {
  const hidden: HiddenData[] = [];
  const keys: string[] = [];
  for await (const { key } of listAll(store, { prefix }, (data) => hidden.push(data))) keys.push(key);
  return { keys, hidden };
}

const sidecarOf = (root: string, key: string): string => join(root, 'retention', `${key}.json`);

describe('data without a readable sidecar', () => {
  it.each([
    ['empty', (path: string) => truncateSync(path, 0)],
    ['cut short', (path: string) => truncateSync(path, 30)],
    ['zeroed', (path: string) => writeFileSync(path, Buffer.alloc(200))],
    [
      'of a version that is none',
      (path: string) =>
        writeFileSync(path, readFileSync(path, 'utf8').replace(/"version":"../, '"version":"zz')),
    ],
    ['a directory', (path: string) => (rmSync(path), mkdirSync(path))],
  ])('(%s) is no row of a listing, and comes with its page', async (_, harm) => {
    const { root, store } = await opened();
    await put(store, 'a/1');
    await put(store, 'a/2');
    harm(sidecarOf(root, 'a/1'));
    expect(await listed(store)).toEqual({
      keys: ['a/2'],
      hidden: [{ key: 'a/1', version: undefined, sidecar: 'retention/a/1.json', missing: false, root }],
    });
    expect((await listed(store, 'a/2')).hidden).toEqual([]);
  });

  it('is reported where the sidecar is gone, and of a further version with the version that its name has', async () => {
    const { root, store } = await opened();
    await put(store, 'k', 'one');
    const two = await put(store, 'k', 'two');
    rmSync(sidecarOf(root, 'k'));
    writeFileSync(
      sidecarOf(root, `k@${two}`),
      readFileSync(sidecarOf(root, `k@${two}`), 'utf8').replace(two, 'f'.repeat(32)),
    );
    const { keys, hidden } = await listed(store);
    expect(keys).toEqual([]);
    expect(hidden).toMatchObject([
      { version: undefined, missing: true },
      { version: two, missing: false },
    ]);
  });

  it('is reported once, however many pages a listing has, and by every wrapper', async () => {
    const { root, store: plain } = await opened();
    for (let index = 0; index < 12; index++) await put(plain, `n/${10 + index}`);
    for (const index of [10, 14, 15, 21]) truncateSync(sidecarOf(root, `n/${index}`), 0);
    const { store } = await openStore({ kind: 'directory', path: root });
    onTestFinished(() => store.close());
    const paged: Pick<ObjectStore, 'list'> = { list: (request) => store.list({ ...request, limit: 2 }) };
    const { keys, hidden } = await listed(paged, 'n/');
    expect(keys).toHaveLength(8);
    expect(hidden.map(({ key }) => key)).toEqual(['n/10', 'n/14', 'n/15', 'n/21']);
  });

  it('is never seen in what is being stored meanwhile', async () => {
    const { store } = await opened();
    const storing = Promise.all(Array.from({ length: 200 }, (_, index) => put(store, `n/${index}`)));
    const ended = storing.then(() => undefined);
    // Resolves to undefined once all are stored.
    const look = (): Promise<HiddenData[] | undefined> =>
      Promise.race([ended, listed(store).then(({ hidden }) => hidden)]);
    for (let seen = await look(); seen !== undefined; seen = await look()) expect(seen).toEqual([]);
  });

  it('gets its sidecar back in its place when the same bytes are stored again', async () => {
    const { root, store } = await opened();
    const version = await put(store, 'k', 'bytes');
    truncateSync(sidecarOf(root, 'k'), 0);
    await put(store, 'k', 'other');
    expect(await put(store, 'k', 'bytes')).toBe(version);
    expect(await store.getRetention('k', version)).toEqual(LOCK);
    expect(await listed(store)).toEqual({ keys: ['k', 'k'], hidden: [] });
  });
});

describe('data of another length than was stored', () => {
  it('is listed with both lengths', async () => {
    const { root, store } = await opened();
    await put(store, 'k', 'twelve bytes');
    await put(store, 'whole');
    truncateSync(join(root, 'k'), 3);
    const { versions } = await store.list({ prefix: '' });
    expect(versions).toMatchObject([
      { key: 'k', size: 3, storedSize: 12 },
      { key: 'whole', size: 5 },
    ]);
    expect(versions[1]).not.toHaveProperty('storedSize');
  });
});

describe('what a directory can tell of its damage', () => {
  it('is whether the data of a version is what was stored', async () => {
    const { root, store } = await opened();
    const version = await put(store, 'k', 'bytes');
    const isIntact = (): Promise<boolean> | undefined => store.damage?.isIntact('k', version);
    expect(await isIntact()).toBe(true);
    chmodSync(join(root, 'k'), 0o644);
    writeFileSync(join(root, 'k'), 'rotte');
    expect(await isIntact()).toBe(false);
    truncateSync(join(root, 'k'), 2);
    expect(await isIntact()).toBe(false);
    rmSync(join(root, 'k'));
    await expect(isIntact()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is what was set aside, which no listing shows, no clean-up removes, and no key can be', async () => {
    const { root, store } = await opened();
    expect(await store.damage?.setAside()).toEqual([]);
    const key = 'manifests/Überall backup/x';
    const version = await put(store, key);
    const to = join(root, 'set-aside', `${key}@${version}`);
    mkdirSync(dirname(to), { recursive: true });
    renameSync(join(root, key), to);
    for (const other of ['.1', '.json']) writeFileSync(`${to}${other}`, '');
    expect(await store.damage?.setAside()).toEqual([{ key, version }]);
    expect(await listed(store)).toEqual({ keys: [], hidden: [] });
    await expect(put(store, 'set-aside/x')).rejects.toMatchObject({ code: 'USAGE' });
    expect(await put(store, key)).toBe(version);
    expect((await readAll(await store.get(key, version))).toString()).toBe(key);
    expect(createHash('md5').update(readFileSync(to)).digest('hex')).toBe(version);
  });
});
