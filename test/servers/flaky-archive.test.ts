import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { SysbackupEvent } from '#src/events.js';
import { type OpenedStore, openStore } from '#src/store/open.js';
import { listAll } from '#src/store/port.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { FlakyProxy, type ProxiedRequest, type ProxyFault } from '../kit/flaky-proxy.js';
import { restoreTree, treeOf } from '../kit/trees.js';
import { describeWithCeph } from './ceph.js';

type Decide = (request: ProxiedRequest) => ProxyFault | undefined;

/** Each as likely as the other. A stalled one costs the time after which a silent connection is given up. */
const FAULTS: ProxyFault[] = [
  'reset',
  'reset-midway',
  'lose-answer',
  'cut-answer',
  'stall',
  'stall-answer',
  'damage',
  'slow',
  'page',
  429,
  500,
  503,
];

/** Numbers from 0 to 1 that are the same for each seed (Lehmer's generator with Park and Miller's constants). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Whether a request stores an object, and not its lock alone. */
function isPutOfObject({ method, url }: ProxiedRequest): boolean {
  return method === 'PUT' && url.includes('x-id=PutObject') && !url.includes('retention');
}

describeWithCeph('a run against Ceph through a network that fails', {}, (ceph) => {
  async function machineBehind(decide: Decide): Promise<{
    machine: BackupMachine;
    opened: OpenedStore;
    proxy: FlakyProxy;
    events: SysbackupEvent[];
  }> {
    const proxy = await FlakyProxy.start(ceph().endpoint, decide);
    const events: SysbackupEvent[] = [];
    const client = ceph().clientConfig({ endpoint: proxy.endpoint, timeouts: { connect: 2000, idle: 500 } });
    const opened = await openStore(
      { kind: 's3', bucket: await ceph().createBucket(), client },
      { listener: (event) => events.push(event), firstMs: 5, longestMs: 50, random: seeded(1) },
    );
    onTestFinished(async () => {
      await opened.store.close();
      await proxy.stop();
    });
    const machine = new BackupMachine();
    machine.store = opened.store;
    return { machine, opened, proxy, events };
  }

  it.each([3, 11])(
    'of which a fifth at random (seed %i): it completes, and its restore is identical',
    async (seed) => {
      const random = seeded(seed);
      const { machine, opened, events } = await machineBehind(() =>
        random() < 0.2 ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined,
      );
      for (let index = 0; index < 60; index++) machine.write(`d${index % 5}/f${index}`, randomBytes(700));
      machine.write('blocks', randomBytes(300_000));
      machine.snapshotter('dump', 'head -c 100000 /dev/zero >&$1');
      const first = await machine.archive();
      expect(first.summary).toMatchObject({ outcome: 'complete', counts: { s: 1, problems: 0 } });
      expect((await restoreTree(opened.store, machine.tree)).tree).toEqual(treeOf(machine.tree));

      for (let index = 0; index < 10; index++) machine.write(`d1/new${index}`, randomBytes(700));
      rmSync(join(machine.tree, 'd0/f0'));
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, daysRetained: 40 } };
      const second = await machine.archive();
      expect(second.summary).toMatchObject({ outcome: 'complete', counts: { problems: 0 } });
      expect(second.summary.renewed).toBeGreaterThan(50);
      expect((await restoreTree(opened.store, machine.tree)).tree).toEqual(treeOf(machine.tree));
      const needed = Date.now() / 1000 + 39 * 86_400;
      for (const entry of (await machine.entries(second.summary)).values()) {
        if (entry.typ !== 'f' || entry.dat === null) continue;
        for (const { key, ver } of [entry.dat].flat())
          expect((await opened.store.getRetention(key, ver))?.until).toBeGreaterThan(needed);
      }
      expect(events.filter(({ type }) => type === 'retry').length).toBeGreaterThan(40);
    },
  );

  it('sends a Content-MD5 with each PUT, and a lock with each object', async () => {
    const { machine, proxy } = await machineBehind(() => undefined);
    for (let index = 0; index < 5; index++) machine.write(`f${index}`, randomBytes(700));
    machine.write('blocks', Buffer.alloc(300_000, 'compresses well '));
    machine.snapshotter('dump', 'echo dumped >&$1');
    await machine.archive();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, daysRetained: 40 } };
    await machine.archive();
    const puts = proxy.requests.filter(({ method }) => method === 'PUT');
    const objects = puts.filter(isPutOfObject);
    expect(objects.length).toBeGreaterThan(10);
    expect(puts.length).toBeGreaterThan(objects.length + 5);
    for (const { headers, md5 } of puts) expect(headers['content-md5']).toBe(md5);
    for (const { headers } of objects) {
      expect(headers['x-amz-object-lock-mode']).toBe('GOVERNANCE');
      const until = Date.parse(String(headers['x-amz-object-lock-retain-until-date']));
      expect(until).toBeGreaterThan(Date.now() + 13.9 * 86_400_000);
    }
  });

  it('that damages the first body for each key: the server refuses it, it is sent again, and stored once', async () => {
    const seen = new Set<string>();
    const { machine, opened, proxy } = await machineBehind((request) => {
      if (!isPutOfObject(request) || seen.has(request.url)) return undefined;
      seen.add(request.url);
      return 'damage';
    });
    for (let index = 0; index < 5; index++) machine.write(`f${index}`, randomBytes(700));
    machine.snapshotter('dump', 'echo dumped >&$1');
    const { summary } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    expect(proxy.requests.filter(isPutOfObject)).toHaveLength(2 * 7);
    const keys: string[] = [];
    for await (const { key } of listAll(opened.store, { prefix: '' })) keys.push(key);
    expect(keys).toHaveLength(7);
    expect(new Set(keys).size).toBe(7);
    expect((await restoreTree(opened.store, machine.tree)).tree).toEqual(treeOf(machine.tree));
  });

  it('and is stopped by --max-requests: code 1, not one request more, and the next run sends nothing again', async () => {
    const proxy = await FlakyProxy.start(ceph().endpoint, () => undefined);
    onTestFinished(() => proxy.stop());
    const site = ConfFolder.make();
    const bucket = await ceph().createBucket();
    const { accessKeyId, secretAccessKey } = ceph().keys;
    site.conf(
      `[s3]\nbucket = ${bucket}\nendpoint_url = ${proxy.endpoint}\nregion = us-east-1\n`,
      '[content]\nbundle_below = 0\n',
    );
    const tree = new BackupMachine();
    for (let index = 0; index < 30; index++) tree.write(`f${index}`, randomBytes(700));
    site.picker('files', `find '${tree.tree}' -type f`);
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const archive = (...args: string[]) =>
      runProgram(['archive', '--conf-dir', site.confDir, '--json', ...args], { env });

    const stopped = await archive('--max-requests', '25');
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toContain('limit of 25');
    expect(proxy.requests).toHaveLength(25);
    const sent = proxy.requests.filter(isPutOfObject).map(({ url }) => url);
    expect(sent.length).toBeGreaterThan(10);
    expect(sent.some((url) => url.includes('manifests/'))).toBe(false);

    const next = await archive();
    expect(next.code).toBe(0);
    const all = proxy.requests.filter(isPutOfObject).map(({ url }) => url);
    expect(all).toHaveLength(31);
    expect(new Set(all).size).toBe(31);
    expect(summaryIn(next.stdout)).toMatchObject({
      backup: `${hostname()}-backup`,
      requests: { put: 31 - sent.length },
    });
  });

  describe('from a machine whose clock is wrong', () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    it.each([
      ['three years slow', -3],
      ['twenty years fast', 20],
    ])('by being %s: it is told so, and locks end by the server’s time', async (_, years) => {
      const { machine, opened, events, proxy } = await machineBehind(() => undefined);
      machine.write('file', randomBytes(700));
      machine.snapshotter('dump', 'echo dumped >&$1');
      const real = Date.now();
      vi.useFakeTimers({ toFake: ['Date'], now: real + years * 365.25 * 86_400_000 });
      const { summary, warnings } = await machine.archive();
      vi.useRealTimers();
      expect(summary.outcome).toBe('complete');
      expect(warnings.join()).toContain(`clock is ${Math.abs(years) * 365.25 * 1440} minutes`);
      // The first request was refused, and told the time.
      expect(events.filter(({ type }) => type === 'retry')).toMatchObject([
        { reason: expect.stringContaining('RequestTimeTooSkewed') },
      ]);
      expect(proxy.requests.length).toBeGreaterThan(3);
      for await (const { key, version } of listAll(opened.store, { prefix: '' })) {
        const until = ((await opened.store.getRetention(key, version))?.until ?? 0) * 1000;
        expect(until).toBeGreaterThan(real + 14 * 86_400_000 - 1000);
        expect(until).toBeLessThan(real + 22 * 86_400_000);
      }
      expect(summary.run.slice(0, 4)).toBe(String(new Date(real).getUTCFullYear()));
      expect((await restoreTree(opened.store, machine.tree)).tree).toEqual(treeOf(machine.tree));
    });
  });
});
