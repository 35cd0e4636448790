import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { SysbackupEvent } from '#src/events.js';
import { openStore, type OpenedStore } from '#src/store/open.js';
import { listAll, type Retention } from '#src/store/port.js';
import { bodyOf, md5Of, randomBody, readAll } from '../kit/bodies.js';
import { FlakyProxy, type ProxiedRequest, type ProxyFault } from '../kit/flaky-proxy.js';
import { describeWithCeph } from './ceph.js';

const lock = (): Retention => ({ mode: 'GOVERNANCE', until: Math.ceil(Date.now() / 1000) + 86_400 });

describeWithCeph('a bucket of Ceph behind a network that fails', {}, (ceph) => {
  const cleanUps: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  async function through(decide: (request: ProxiedRequest) => ProxyFault | undefined): Promise<{
    opened: OpenedStore;
    proxy: FlakyProxy;
    events: SysbackupEvent[];
  }> {
    const proxy = await FlakyProxy.start(ceph().endpoint, decide);
    cleanUps.push(() => proxy.stop());
    const events: SysbackupEvent[] = [];
    const client = ceph().clientConfig({ endpoint: proxy.endpoint, timeouts: { connect: 2000, idle: 400 } });
    const opened = await openStore(
      { kind: 's3', bucket: await ceph().createBucket(), client },
      { listener: (event) => events.push(event), firstMs: 5, longestMs: 50 },
    );
    cleanUps.push(() => opened.store.close());
    return { opened, proxy, events };
  }

  async function read(opened: OpenedStore, key: string, version: string): Promise<Buffer> {
    return await readAll(await opened.store.get(key, version));
  }

  it.each([
    'reset',
    'reset-midway',
    'lose-answer',
    'cut-answer',
    'stall',
    'damage',
    'page',
    429,
    500,
    503,
  ] as const)('stores and locks all the same where a PUT meets %s', async (fault) => {
    const { opened, proxy, events } = await through(({ method, count }) =>
      method === 'PUT' && count % 2 === 1 ? fault : undefined,
    );
    const folder = await mkdtemp(join(tmpdir(), 'faults-'));
    cleanUps.push(() => rm(folder, { recursive: true }));
    const content = randomBody(400_000);
    const path = join(folder, 'spool');
    await writeFile(path, content.bytes);
    const retention = lock();
    const pieces = [content.bytes.subarray(0, 1000), { path, start: 1000, end: 400_000 }];
    for (const body of [content, { pieces, size: 400_000, md5: content.md5 }]) {
      const { version } = await opened.store.put({ key: 'k', body, retention });
      expect(await opened.store.getRetention('k', version)).toEqual(retention);
      expect(md5Of(await read(opened, 'k', version))).toBe(content.md5);
      if (proxy.requests.length % 2 === 1) await opened.store.list({ prefix: '' });
    }
    // An answer without a body cannot be cut.
    if (fault !== 'cut-answer') {
      expect(events.filter((event) => event.type === 'retry' && event.request === 'put')).toHaveLength(2);
      expect(opened.requests().put).toBe(4);
    }
  });

  it.each(['cut-answer', 'stall-answer', 'slow', 'reset', 'stall'] as const)(
    'reads all bytes where a GET meets %s',
    async (fault) => {
      let gets = 0;
      const { opened } = await through(({ url }) => {
        if (!url.includes('x-id=GetObject')) return undefined;
        gets += 1;
        return gets <= 2 ? fault : undefined;
      });
      const body = randomBody(1_000_000);
      const { version } = await opened.store.put({ key: 'k', body, retention: lock() });
      expect(md5Of(await read(opened, 'k', version))).toBe(body.md5);
      expect(gets).toBe(fault === 'slow' ? 1 : 3);
    },
  );

  it('completes a day of work while a fifth of all requests fail at random', async () => {
    const faults: ProxyFault[] = [
      'reset',
      'reset-midway',
      'lose-answer',
      'cut-answer',
      'damage',
      'page',
      500,
      503,
    ];
    let seed = 7;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const { opened, events } = await through(() =>
      random() < 0.2 ? faults[Math.floor(random() * faults.length)] : undefined,
    );
    const bodies = Array.from({ length: 60 }, (_, index) =>
      bodyOf(createHash('sha512').update(`${index}`).digest()),
    );
    const retention = lock();
    const stored = await Promise.all(
      bodies.map(async (body) => ({
        body,
        key: `content/${body.md5}`,
        version: (await opened.store.put({ key: `content/${body.md5}`, body, retention })).version,
      })),
    );
    await Promise.all(
      stored.map(async ({ key, version, body }) => {
        const later = { ...retention, until: retention.until + 100 };
        await opened.store.extendRetention(key, version, later);
        expect(await opened.store.getRetention(key, version)).toEqual(later);
        expect((await read(opened, key, version)).equals(body.bytes)).toBe(true);
      }),
    );
    const listed = new Set<string>();
    for await (const { version } of listAll(opened.store, { prefix: '', limit: 10 })) listed.add(version);
    expect(stored.every(({ version }) => listed.has(version))).toBe(true);
    expect(events.length).toBeGreaterThan(20);
  });

  it("takes the server's time where this machine's clock is years off", async () => {
    const client = { ...ceph().clientConfig(), systemClockOffset: -3 * 365 * 86_400_000 };
    const opened = await openStore(
      { kind: 's3', bucket: await ceph().createBucket(), client },
      { firstMs: 5 },
    );
    cleanUps.push(() => opened.store.close());
    const { version } = await opened.store.put({ key: 'k', body: bodyOf('x'), retention: lock() });
    expect((await opened.store.head('k', version)).size).toBe(1);
    expect(Math.abs((await opened.store.now()) - Date.now())).toBeLessThan(5000);
    expect(opened.requests()).toEqual({ put: 2, head: 1 });
  });
});
