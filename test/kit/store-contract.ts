import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { listAll, type ListedVersion, type ObjectStore, type Retention } from '#src/store/port.js';
import { bodyOf, md5Of, randomBody, readAll } from './bodies.js';

export interface ContractStore {
  store: ObjectStore;
  dispose?: () => Promise<void>;
}

export interface ContractTraits {
  /** The same bytes under the same key are one version. */
  sameBytesAreOneVersion: boolean;
  /** Several versions of one key can be told apart by age only where the clock moves; called between puts. */
  letTimePass?: () => Promise<void> | void;
}

const DAY = 24 * 3600;

/** What every store must do, whatever is behind it. `open` gives an empty one each time. */
export function describeStoreContract(
  name: string,
  open: () => Promise<ContractStore>,
  traits: ContractTraits,
): void {
  describe(`store contract: ${name}`, () => {
    const opened: ContractStore[] = [];
    async function fresh(): Promise<ObjectStore> {
      const one = await open();
      opened.push(one);
      return one.store;
    }
    afterEach(async () => {
      for (const { store, dispose } of opened.splice(0)) {
        await store.close();
        await dispose?.();
      }
    });

    async function lockFor(store: ObjectStore, days: number): Promise<Retention> {
      return { mode: 'GOVERNANCE', until: Math.ceil((await store.now()) / 1000) + days * DAY };
    }

    async function putText(store: ObjectStore, key: string, text: string): Promise<string> {
      const retention = await lockFor(store, 1);
      return (await store.put({ key, body: bodyOf(text), retention })).version;
    }

    async function rowsOf(store: ObjectStore, request = { prefix: '' }): Promise<ListedVersion[]> {
      const rows: ListedVersion[] = [];
      for await (const row of listAll(store, request)) rows.push(row);
      return rows;
    }

    it('gives back the bytes, the empty object included', async () => {
      const store = await fresh();
      const retention = await lockFor(store, 1);
      for (const size of [0, 1, 100_000, 3_000_000]) {
        const body = randomBody(size);
        const { version } = await store.put({ key: `content/${size}`, body, retention });
        const bytes = await readAll(await store.get(`content/${size}`, version));
        expect(bytes.equals(body.bytes)).toBe(true);
        expect(await store.head(`content/${size}`, version)).toMatchObject({
          size,
          etag: body.md5,
          retention,
        });
      }
    });

    it('gives back ranges, their end not included', async () => {
      const store = await fresh();
      const version = await putText(store, 'a', '0123456789');
      const read = async (start: number, end: number): Promise<string> =>
        (await readAll(await store.get('a', version, { start, end }))).toString();
      expect(await read(0, 10)).toBe('0123456789');
      expect(await read(3, 7)).toBe('3456');
      expect(await read(9, 10)).toBe('9');
      expect(await read(4, 4)).toBe('');
    });

    it('stores bodies made of pieces of files and of memory', async () => {
      const store = await fresh();
      const folder = await mkdtemp(join(tmpdir(), 'pieces-'));
      try {
        const content = Buffer.from(randomBody(2_500_000).bytes);
        const path = join(folder, 'spool');
        await writeFile(path, content);
        const whole = Buffer.concat([
          Buffer.from('head'),
          content.subarray(10, 2_400_000),
          Buffer.from('tail'),
        ]);
        const pieces = [Buffer.from('head'), { path, start: 10, end: 2_400_000 }, Buffer.from('tail')];
        const { version } = await store.put({
          key: 'snapshots/one',
          body: { pieces, size: whole.length, md5: md5Of(whole) },
          retention: await lockFor(store, 1),
        });
        expect((await readAll(await store.get('snapshots/one', version))).equals(whole)).toBe(true);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('refuses bytes that are not those of their checksum, and keeps nothing of them', async () => {
      const store = await fresh();
      const retention = await lockFor(store, 1);
      const good = Buffer.from('good');
      const md5 = md5Of(good);
      const wrong = Buffer.from('evil');
      for (const body of [
        { bytes: wrong, size: 4, md5 },
        { pieces: [wrong.subarray(0, 2), wrong.subarray(2)], size: 4, md5 },
        { pieces: [wrong.subarray(0, 2), wrong.subarray(2)], size: 4, md5, crc32: crc32(good) },
      ])
        await expect(store.put({ key: 'x', body, retention })).rejects.toMatchObject({ code: 'DAMAGED' });
      expect(await rowsOf(store)).toEqual([]);
      const body = { pieces: [good.subarray(0, 1), good.subarray(1)], size: 4, md5, crc32: crc32(good) };
      await expect(store.put({ key: 'x', body, retention })).resolves.toBeDefined();
    });

    it('keeps both versions where one key is put twice', async () => {
      const store = await fresh();
      const first = await putText(store, 'a/key', 'first');
      await traits.letTimePass?.();
      const second = await putText(store, 'a/key', 'second');
      expect(second).not.toBe(first);
      expect(
        (await rowsOf(store)).map(({ version, isLatest, size }) => ({ version, isLatest, size })),
      ).toEqual([
        { version: second, isLatest: true, size: 6 },
        { version: first, isLatest: false, size: 5 },
      ]);
      expect((await readAll(await store.get('a/key', first))).toString()).toBe('first');
      expect((await readAll(await store.get('a/key', second))).toString()).toBe('second');
    });

    it('keeps the longer lock where the same bytes are put twice', async () => {
      const store = await fresh();
      const [long, short] = [await lockFor(store, 9), await lockFor(store, 2)];
      const body = bodyOf('same');
      const first = await store.put({ key: 'a', body, retention: long });
      const second = await store.put({ key: 'a', body, retention: short });
      expect(first.version === second.version).toBe(traits.sameBytesAreOneVersion);
      expect(await store.getRetention('a', first.version)).toEqual(long);
      const third = await store.put({ key: 'a', body, retention: { ...long, until: long.until + DAY } });
      expect((await store.getRetention('a', third.version))?.until).toBe(long.until + DAY);
    });

    it('lists keys by their bytes, odd characters included', async () => {
      const store = await fresh();
      const keys = [
        'a/b',
        'a0',
        'a!',
        'a-b/c',
        'b@x',
        'B',
        'z y',
        'z+y',
        'z%20y',
        'q&<r>"\'',
        'ü',
        '\uffee',
        '😀',
      ];
      keys.push('n\nl', 'manifests/h-backup/20260101T000000Z-x.complete.jsonl.gz');
      for (const key of keys) await putText(store, key, key);
      const expected = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const rows = await rowsOf(store);
      expect(rows.map((row) => row.key)).toEqual(expected);
      for (const row of rows) {
        expect(row).toMatchObject({ isLatest: true, deleteMarker: false, etag: md5Of(Buffer.from(row.key)) });
        expect((await readAll(await store.get(row.key, row.version))).toString()).toBe(row.key);
      }
    });

    it('lists in pages that can be asked for again', async () => {
      const store = await fresh();
      for (const key of ['p/1', 'p/2/3', 'p/4']) await putText(store, key, key);
      for (const text of ['x', 'y', 'z']) await putText(store, 'p/2x', text);
      const all = await rowsOf(store, { prefix: 'p/' });
      expect(all).toHaveLength(6);
      const pages: ListedVersion[][] = [];
      let continuation: string | undefined;
      do {
        const request = { prefix: 'p/', limit: 2, ...(continuation === undefined ? {} : { continuation }) };
        const page = await store.list(request);
        expect(await store.list(request)).toEqual(page);
        pages.push(page.versions);
        continuation = page.next;
      } while (continuation !== undefined);
      expect(pages.map((page) => page.length)).toEqual([2, 2, 2]);
      expect(pages.flat()).toEqual(all);
    });

    it('lists from after a key, below a prefix', async () => {
      const store = await fresh();
      for (const key of ['c/00', 'c/01', 'c/1', 'c/1x/y', 'd', 'm/a/1', 'm/a/2', 'm/ab'])
        await putText(store, key, '');
      const keysOf = async (prefix: string, after?: string): Promise<string[]> =>
        (await store.list(after === undefined ? { prefix } : { prefix, after })).versions.map(
          (row) => row.key,
        );
      expect(await keysOf('c/0')).toEqual(['c/00', 'c/01']);
      expect(await keysOf('c/', 'c/01')).toEqual(['c/1', 'c/1x/y']);
      expect(await keysOf('c/', 'c/1')).toEqual(['c/1x/y']);
      expect(await keysOf('c/', 'c/0z')).toEqual(['c/1', 'c/1x/y']);
      expect(await keysOf('m/a')).toEqual(['m/a/1', 'm/a/2', 'm/ab']);
      expect(await keysOf('m/a/')).toEqual(['m/a/1', 'm/a/2']);
      expect(await keysOf('', 'd')).toEqual(['m/a/1', 'm/a/2', 'm/ab']);
      expect(await keysOf('', 'm/a/1')).toEqual(['m/a/2', 'm/ab']);
      expect(await keysOf('nothing/')).toEqual([]);
    });

    it('shows a lock, moves it outwards, and never inwards', async () => {
      const store = await fresh();
      for (const mode of ['GOVERNANCE', 'COMPLIANCE'] as const) {
        const retention = { mode, until: (await lockFor(store, 3)).until };
        const key = `locked-${mode}`;
        const { version } = await store.put({ key, body: bodyOf(mode), retention });
        expect(await store.getRetention(key, version)).toEqual(retention);
        await store.extendRetention(key, version, retention);
        const longer = { mode, until: retention.until + DAY };
        await store.extendRetention(key, version, longer);
        expect(await store.getRetention(key, version)).toEqual(longer);
        expect((await store.head(key, version)).retention).toEqual(longer);
        await expect(store.extendRetention(key, version, retention)).rejects.toMatchObject({
          code: 'ACCESS_DENIED',
        });
        expect(await store.getRetention(key, version)).toEqual(longer);
      }
    });

    it('never weakens COMPLIANCE', async () => {
      const store = await fresh();
      const { until } = await lockFor(store, 2);
      const { version } = await store.put({
        key: 'k',
        body: bodyOf('k'),
        retention: { mode: 'COMPLIANCE', until },
      });
      await expect(
        store.extendRetention('k', version, { mode: 'GOVERNANCE', until: until + DAY }),
      ).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
      expect(await store.getRetention('k', version)).toEqual({ mode: 'COMPLIANCE', until });
    });

    it('keeps metadata, whatever text it is', async () => {
      const store = await fresh();
      const metadata = {
        'storage-encoding': 'gzip',
        'backup-output': 'größer; naïve — 日本語 😀\nnext line',
        'restore-through': 'psql --set="a=b" | tee \'x\' =?utf-8?q?no?= \\ %',
        'X-Upper': ' spaces  inside and around ',
        empty: '',
      };
      const { version } = await store.put({
        key: 's',
        body: bodyOf('s'),
        retention: await lockFor(store, 1),
        metadata,
      });
      const { 'X-Upper': upper, ...others } = metadata;
      expect((await store.head('s', version)).metadata).toEqual({ ...others, 'x-upper': upper });
    });

    it('says NOT_FOUND for what it does not have', async () => {
      const store = await fresh();
      const version = await putText(store, 'there', 'x');
      const other = await putText(store, 'other', 'y');
      const later = await lockFor(store, 5);
      const missing = { code: 'NOT_FOUND' };
      for (const [key, id] of [
        ['missing', version],
        ['there/below', version],
        ['there', other],
      ] as const) {
        await expect(store.get(key, id)).rejects.toMatchObject(missing);
        await expect(store.head(key, id)).rejects.toMatchObject(missing);
        await expect(store.getRetention(key, id)).rejects.toMatchObject(missing);
        await expect(store.extendRetention(key, id, later)).rejects.toMatchObject(missing);
      }
    });

    it('locks, keeps versions, and knows the time', async () => {
      const store = await fresh();
      expect(await store.capabilities()).toEqual({ objectLock: true, versioning: true });
      const before = await store.now();
      const version = await putText(store, 'timed', 'x');
      const { received } = await store.head('timed', version);
      expect(Math.abs(received - before)).toBeLessThan(10_000);
      expect(await store.now()).toBeGreaterThanOrEqual(before);
      // HTTP's dates are whole seconds.
      expect(Math.floor(((await rowsOf(store))[0]?.received ?? 0) / 1000)).toBe(Math.floor(received / 1000));
    });

    it('takes many puts and reads at once', async () => {
      const store = await fresh();
      const retention = await lockFor(store, 1);
      const keys = Array.from({ length: 40 }, (_, index) => `content/${hashOf(String(index % 30))}`);
      const stored = await Promise.all(
        keys.map(async (key) => ({ key, ...(await store.put({ key, body: bodyOf(key), retention })) })),
      );
      await Promise.all(
        stored.map(async ({ key, version }) =>
          expect((await readAll(await store.get(key, version))).toString()).toBe(key),
        ),
      );
      expect(new Set((await rowsOf(store)).map((row) => row.key)).size).toBe(30);
    });
  });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
