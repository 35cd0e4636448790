import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MARKER_FILE } from '#src/store/directory-layout.js';
import { markedStoreOf, readMarker } from '#src/store/directory-marker.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { makeMarker, newStoreId } from '#src/store/make-marker.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { bodyOf } from '../../kit/bodies.js';
import { temporaryFolder } from '../../kit/temporary.js';

const LOCK = { mode: 'GOVERNANCE' as const, until: 4_000_000_000 };

async function openedStore(): Promise<{ folder: string; root: string; store: ObjectStore }> {
  const folder = temporaryFolder();
  const root = join(folder, 'root');
  const store = await openDirectoryStore({ path: root, create: true });
  onTestFinished(() => store.close());
  return { folder, root, store };
}

function put(store: ObjectStore, key: string): Promise<unknown> {
  return store.put({ key, body: bodyOf(key), retention: LOCK });
}

describe('the marker of a directory store', () => {
  it.each([
    ['link', undefined],
    ['no hard links', () => Promise.reject(Object.assign(new Error('none here'), { code: 'EPERM' }))],
  ])('is one, however many make it at one moment (%s)', async (_, linkFile) => {
    const root = temporaryFolder();
    const options = linkFile === undefined ? {} : { linkFile };
    const ids = await Promise.all(Array.from({ length: 20 }, () => makeMarker(root, newStoreId(), options)));
    expect(new Set(ids).size).toBe(1);
    expect(await readMarker(root)).toEqual({ id: ids[0] });
    expect(await readdir(root)).toEqual([MARKER_FILE]);
  });

  it('stays as it is, with what other programs keep in it', async () => {
    const root = temporaryFolder();
    const id = newStoreId();
    const text = JSON.stringify({ later: { date: 7 }, id });
    await writeFile(join(root, MARKER_FILE), text);
    expect(await makeMarker(root, newStoreId())).toBe(id);
    expect(await readFile(join(root, MARKER_FILE), 'utf8')).toBe(text);
  });

  it.each([
    ['empty', (path: string) => writeFile(path, '')],
    ['without an id', (path: string) => writeFile(path, '{"id": 7}')],
    ['a link', (path: string) => symlink('/etc/hostname', path)],
  ])('says no id where it is %s', async (_, damage) => {
    const root = temporaryFolder();
    await damage(join(root, MARKER_FILE));
    expect(await readMarker(root)).toBe('damaged');
  });

  it('is made again where it is damaged, by one of several', async () => {
    const root = temporaryFolder();
    await writeFile(join(root, MARKER_FILE), '');
    const ids = await Promise.all(Array.from({ length: 5 }, () => makeMarker(root, newStoreId())));
    expect(new Set(ids).size).toBe(1);
    expect(await readdir(root)).toEqual([MARKER_FILE]);
  });

  it('is in no listing, and part of the identity', async () => {
    const { root, store } = await openedStore();
    await put(store, 'a');
    const keys: string[] = [];
    for await (const { key } of listAll(store, { prefix: '' })) keys.push(key);
    expect(keys).toEqual(['a']);
    const marker = await readMarker(root);
    expect(markedStoreOf(store.identity)).toEqual({ root, id: typeof marker === 'object' ? marker.id : '' });
  });
});

describe('storing while the disk goes', () => {
  it('makes nothing where the store was, neither there nor in what is mounted there then', async () => {
    const { folder, root, store } = await openedStore();
    await put(store, 'a');
    await rename(root, join(folder, 'elsewhere'));
    const gone = { code: 'NOT_FOUND', message: expect.stringContaining(root) };
    await expect(put(store, 'b')).rejects.toMatchObject(gone);
    expect(existsSync(root)).toBe(false);
    await mkdir(root);
    await expect(put(store, 'b')).rejects.toMatchObject(gone);
    expect(await readdir(root)).toEqual([]);
    await makeMarker(root, newStoreId());
    await expect(put(store, 'b')).rejects.toMatchObject(gone);
    expect(await readdir(root)).toEqual([MARKER_FILE]);
    // And goes on where it comes back.
    await rename(root, join(folder, 'other'));
    await rename(join(folder, 'elsewhere'), root);
    await put(store, 'b');
  });

  it('goes on where the marker was written again with the same id', async () => {
    const { root, store } = await openedStore();
    await put(store, 'a');
    const marker = JSON.parse(await readFile(join(root, MARKER_FILE), 'utf8')) as object;
    await writeFile(join(root, 'new'), JSON.stringify({ ...marker, date: 7 }));
    await rename(join(root, 'new'), join(root, MARKER_FILE));
    await put(store, 'b');
  });
});

describe('reading a directory store', () => {
  it('needs no marker', async () => {
    const { folder, root, store } = await openedStore();
    await put(store, 'a');
    await rename(join(root, MARKER_FILE), join(folder, 'marker'));
    const read = await openDirectoryStore({ path: root });
    onTestFinished(() => read.close());
    expect(read.identity).toBe(`directory:${root}`);
    expect((await read.list({ prefix: '' })).versions).toHaveLength(1);
    await expect(put(read, 'b')).rejects.toMatchObject({ code: 'USAGE' });
  });
});
