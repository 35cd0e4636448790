import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchManifest } from '#src/manifest/fetch.js';
import { readFooter } from '#src/manifest/footer.js';
import type { ManifestLine } from '#src/manifest/types.js';
import { directory, file, footerOf, header, KEY, manifestOf } from './build-manifest.js';
import { FakeStore } from './fake-store.js';

let spool: string;
beforeEach(async () => {
  spool = await mkdtemp(join(tmpdir(), 'fetch-test-'));
});
afterEach(() => rm(spool, { recursive: true }));

const many = Array.from({ length: 5000 }, (_, index) =>
  file(`/f${String(index).padStart(5, '0')}`, `content ${index}`),
);

describe('fetchManifest', () => {
  it('keeps a private copy that can be read again and again, and is gone when removed', async () => {
    const store = new FakeStore();
    const version = store.add(KEY, manifestOf(many));
    let counted = 0;
    const onLines = (lines: readonly ManifestLine[]): void => {
      counted += lines.length;
    };
    const fetched = await fetchManifest(store, { key: KEY, version }, spool, { onLines });
    expect(counted).toBe(many.length + 2);
    expect(fetched.header).toEqual(header);
    expect(fetched.footer).toEqual(footerOf([header, ...many]));
    for (const _ of [1, 2]) {
      const lines: ManifestLine[] = [];
      for await (const batch of fetched.lines()) lines.push(...batch);
      expect(lines.slice(1, -1)).toEqual(many);
    }
    expect(store.gets).toHaveLength(1);
    const [folder = ''] = await readdir(spool);
    expect((await stat(join(spool, folder, 'manifest.jsonl.gz'))).mode & 0o777).toBe(0o600);
    await fetched.remove();
    expect(await readdir(spool)).toEqual([]);
  });

  it('gives nothing of a damaged manifest, and leaves nothing behind', async () => {
    const store = new FakeStore();
    const version = store.add(KEY, manifestOf(many).subarray(0, -1));
    await expect(fetchManifest(store, { key: KEY, version }, spool)).rejects.toMatchObject({
      code: 'DAMAGED',
    });
    expect(await readdir(spool)).toEqual([]);
  });

  it('says where it could not keep its copy', async () => {
    const store = new FakeStore();
    const version = store.add(KEY, manifestOf(many));
    const missing = join(spool, 'missing');
    await expect(fetchManifest(store, { key: KEY, version }, missing)).rejects.toMatchObject({
      code: 'SYSTEM',
      message: expect.stringContaining(missing),
    });
  });
});

describe('readFooter', () => {
  it('asks for the last 4 KiB only', async () => {
    const store = new FakeStore();
    const bytes = manifestOf(many);
    const version = store.add(KEY, bytes);
    expect(await readFooter(store, KEY, version, bytes.length)).toEqual(footerOf([header, ...many]));
    expect(store.gets).toEqual([
      { key: KEY, version, range: { start: bytes.length - 4096, end: bytes.length } },
    ]);
  });

  it('reads the footer of a manifest that is shorter than that', async () => {
    const store = new FakeStore();
    const bytes = manifestOf([directory('/')]);
    const footer = await readFooter(store, KEY, store.add(KEY, bytes), bytes.length);
    expect(footer).toMatchObject({ counts: { d: 1 } });
  });

  it.each<[string, (whole: Buffer) => Buffer, RegExp]>([
    ['the end is cut off', (whole) => whole.subarray(0, -1), /no gzip member ends/],
    ['zeros follow', (whole) => Buffer.concat([whole, Buffer.alloc(5)]), /no gzip member ends/],
    ['other bytes follow', (whole) => Buffer.concat([whole, Buffer.from('x')]), /no gzip member ends/],
    ['there is nothing', () => Buffer.alloc(0), /no gzip member ends/],
    [
      'lines follow',
      (whole) => Buffer.concat([whole, manifestOf([])]).subarray(0, -1),
      /no gzip member ends/,
    ],
    [
      'it says another outcome than the key',
      () => manifestOf([], { outcome: 'broken' }),
      /under a key that says/,
    ],
  ])('refuses where %s', async (_what, change, message) => {
    const store = new FakeStore();
    const bytes = change(manifestOf(many.slice(0, 10)));
    const version = store.add(KEY, bytes);
    await expect(readFooter(store, KEY, version, bytes.length)).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringMatching(message),
    });
  });

  it('refuses a last line that is no footer', async () => {
    const store = new FakeStore();
    for (const last of [`${JSON.stringify(header)}\n`, 'x\n', '{"typ":"end"}\n', '\n\n']) {
      const bytes = gzipSync(last);
      const version = store.add(KEY, bytes);
      await expect(readFooter(store, KEY, version, bytes.length)).rejects.toMatchObject({ code: 'DAMAGED' });
    }
  });
});
