import { describe, expect, it, onTestFinished } from 'vitest';
import { PutBucketPolicyCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { runProgram } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { documentedPolicy } from '../kit/documented-policy.js';
import { type Lie, LIES, type LyingOptions, LyingProxy, type ProxiedRequest } from '../kit/lying-proxy.js';
import { measuringMemory, peakMemory } from '../kit/peak-memory.js';
import { describeWithCeph } from './ceph.js';
import { type CommandEnd, LyingSite, QUICK, type SiteOptions } from './lying-site.js';

const DAY = 86_400;
/**
 * Of a tenth: a request that is repeated for 30 s and whose last attempt takes 30 s more, and what a machine that is
 * busy otherwise needs for so many commands at once.
 */
const LONGEST_SECONDS = 120;

/** Codes of archive, restore and renew where all requests are lied to. What is not named ends with 1. */
const ALWAYS: Partial<Record<Lie, number[]>> = {
  denied: [12, 12, 12],
  expired: [12, 12, 12],
  moved: [2, 2, 2],
  'empty-to-put': [1, 0, 13],
  'lose-answer': [1, 0, 13],
  'no-version': [1, 0, 0],
};

/** Where one is, the first. What is not named ends with 0. */
const ONCE: Partial<Record<Lie, number[]>> = {
  moved: [2, 2, 2],
  // An answer may take as long as a request may be repeated.
  drip: [1, 1, 1],
  'no-version': [1, 0, 0],
};

function isManifestPut({ method, url }: ProxiedRequest): boolean {
  return method === 'PUT' && url.includes('/manifests/') && !url.includes('retention');
}

describeWithCeph('Ceph behind a proxy that lies', {}, (ceph) => {
  async function site(lying: LyingOptions, options: SiteOptions = {}): Promise<LyingSite> {
    const made = await LyingSite.make(ceph(), lying, options);
    onTestFinished(() => made.close());
    return made;
  }

  /** Keeps versions, and does not lock them. */
  async function versioned(): Promise<string> {
    const bucket = await ceph().createBucket({ objectLock: false });
    const owner = new S3Client(ceph().clientConfig());
    onTestFinished(() => owner.destroy());
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await owner.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    return bucket;
  }

  /** Each lock ends as it would without a proxy, whatever was dated 2035. */
  function expectLocked(until: number | undefined, days: number): void {
    const held = (until ?? 0) - Date.now() / 1000;
    expect(held).toBeGreaterThan((days - 0.1) * DAY);
    expect(held).toBeLessThan((days * 1.5 + 1) * DAY);
  }

  /** `archive` into an empty bucket, `restore` of a whole one, `renew` of another. */
  async function allThree(lying: LyingOptions, whole: LyingSite): Promise<CommandEnd[]> {
    const [fresh, restored, renewed] = await Promise.all([site(lying), site(lying, { of: whole }), site({})]);
    await renewed.archive();
    renewed.proxy.options = lying;
    const ends = await Promise.all([fresh.archive(), restored.restore(), renewed.renew()]);
    const [archived, , moved] = ends;
    for (const [{ code }, made, days] of [
      [archived, fresh, 14],
      [moved, renewed, 40],
    ] as const) {
      if (code !== 0) continue;
      const { restores, findings, until } = await made.truth();
      expect({ lying, restores, findings }).toEqual({ lying, restores: true, findings: [] });
      expectLocked(until, days);
    }
    return ends;
  }

  it('always, or once at first: each command ends in time, and with 0 only if it is done', async () => {
    const whole = await site({});
    expect(await whole.archive()).toMatchObject({ code: 0 });
    const found = await Promise.all(
      LIES.flatMap((lie) =>
        [false, true].map(async (once) => {
          const ends = await allThree({ lie, once }, whole);
          const slow = ends.filter(({ seconds }) => seconds > LONGEST_SECONDS);
          expect({ lie, once, slow }).toEqual({ lie, once, slow: [] });
          return [`${once ? 'once ' : ''}${lie}`, ends.map(({ code }) => code)] as const;
        }),
      ),
    );
    const expected = LIES.flatMap((lie) => [
      [lie, ALWAYS[lie] ?? [1, 1, 1]],
      [`once ${lie}`, ONCE[lie] ?? [0, 0, 0]],
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });

  it.each(['slow-down', 'skewed', 'html', 'empty'] as const)(
    'once at first, with a catalog (%s): the store is not taken for an emptied one',
    async (lie) => {
      const made = await site({});
      await made.archive();
      made.machine.write('new', 'new');
      made.proxy.options = { lie, once: true };
      const { summary, warnings } = await made.machine.archive();
      expect(summary).toMatchObject({ outcome: 'complete', stored: { objects: 1 } });
      expect(warnings).toEqual([]);
      const { restores, findings, until } = await made.truth();
      expect({ restores, findings }).toEqual({ restores: true, findings: [] });
      expectLocked(until, 14);
    },
  );

  it.each(['html', 'empty'] as const)(
    'once at first, where the bucket need not lock (%s): it locks all the same',
    async (lie) => {
      const made = await site({ lie, once: true }, { requireObjectLock: false });
      expect(await made.archive()).toMatchObject({ code: 0 });
      expectLocked((await made.truth()).until, 14);
    },
  );

  it('that takes version ids away: each PUT under way is stored once, and none is sent after it', async () => {
    const made = await site({ lie: 'no-version' }, { files: 300 });
    const end = await made.archive();
    expect(end).toMatchObject({ code: 1, message: expect.stringContaining('removes x-amz-version-id') });
    const keys = (await made.versions()).map(({ key }) => key);
    expect(keys.length).toBeLessThanOrEqual(64);
    expect(new Set(keys).size).toBe(keys.length);
    expect(made.proxy.requests.filter(({ method }) => method === 'PUT')).toHaveLength(keys.length);
  });

  it('that takes version ids away, where the bucket need not lock: the run does not count as stored', async () => {
    const made = await site({ lie: 'no-version' }, { bucket: await versioned(), requireObjectLock: false });
    const end = await made.archive();
    expect(end).toMatchObject({ code: 1, message: expect.stringContaining('removes x-amz-version-id') });
  });

  it('that loses the answers to the manifest’s PUT: its listing finds it', async () => {
    const lie = (request: ProxiedRequest) => (isManifestPut(request) ? 'lose-answer' : undefined);
    const made = await site({ lie }, { patience: QUICK });
    expect(await made.archive()).toMatchObject({ code: 0 });
    expect(await made.truth()).toMatchObject({ restores: true, findings: [] });
    made.proxy.options = {};
    const { summary, asked } = await made.machine.archive();
    expect(summary.stored.objects).toBe(0);
    // As any unchanged run: the fence, the manifest, and where it is.
    expect(asked.map(({ kind }) => kind).filter((kind) => kind !== 'list')).toEqual(['put']);
  });

  it.each([
    ['does not store it', 'empty-to-put', undefined],
    ['breaks with it', 'reset', 'reset'],
    ['stores it, and breaks', 'lose-answer', 'reset'],
  ] as const)(
    'that %s, at the manifest’s PUT: it may have been stored, and the next run goes on with the journal',
    async (_, first, then) => {
      const made = await site({}, { patience: QUICK });
      let reached = false;
      made.proxy.options = {
        lie: (request) => {
          if (isManifestPut(request)) reached = true;
          return isManifestPut(request) ? first : reached ? then : undefined;
        },
      };
      const end = await made.archive();
      expect(end).toMatchObject({ code: 1, message: expect.stringContaining('may have been stored') });
      made.proxy.options = {};
      const { summary } = await made.machine.archive();
      // Without a catalog all is read again.
      expect(summary).toMatchObject({ outcome: 'complete', read: { files: 3 }, stored: { objects: 0 } });
      expect(await made.truth()).toMatchObject({ restores: true, findings: [] });
    },
  );

  it('whose pages answer an extension: no lock counts as extended', async () => {
    for (const lie of ['html', 'empty', 'garbage'] as const) {
      const made = await site({});
      await made.archive();
      const { settings } = made.machine;
      made.machine.settings = { ...settings, content: { ...settings.content, daysRetained: 60 } };
      const answered = new Set<string>();
      made.proxy.options = {
        lie: ({ method, url }) => {
          if (method !== 'PUT' || !url.includes('retention') || answered.has(url)) return undefined;
          answered.add(url);
          return lie;
        },
      };
      const { summary } = await made.machine.archive();
      expect(summary).toMatchObject({ outcome: 'complete', renewed: 3 });
      expect(answered.size).toBe(3);
      for (const { key, version } of await made.versions()) {
        if (!key.startsWith('content/')) continue;
        const { until = 0 } = (await made.direct.store.getRetention(key, version)) ?? {};
        expect({ lie, isExtended: until - Date.now() / 1000 > 59.9 * DAY }).toEqual({
          lie,
          isExtended: true,
        });
      }
    }
  });

  it('that gives other ETags than MD5 sums, all alike: as with a server that does, which is said once', async () => {
    const made = await site({ opaqueEtags: true }, { files: 40 });
    made.machine.snapshotter('dump', 'echo dumped >&$1');
    const { asked } = await made.machine.archive();
    const said = () =>
      made.events.filter((event) => event.type === 'log' && event.message.includes('no MD5 sums')).length;
    expect(said()).toBe(1);
    expect(await made.truth()).toMatchObject({ restores: true, findings: [] });
    // One listing tells for all; it comes beside those by which content is looked up, and the manifest's.
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(42);
    expect(made.proxy.requests.filter(isContentListing).length).toBeLessThan(10);
    const keys = (await made.versions()).map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    await made.reopen();
    const { summary, warnings } = await made.machine.archive();
    expect({ summary, warnings }).toMatchObject({ summary: { outcome: 'complete' }, warnings: [] });
    expect(said()).toBe(1);
  });

  describe('of keys that may list by prefix alone', () => {
    async function bounded(
      objectLock: boolean,
      change = (policy: string): string => policy,
    ): Promise<LyingSite> {
      const [keys, readerKeys] = [await ceph().addUser('web1'), await ceph().addUser('restorer')];
      for (const name of ['renewer', 'auditor']) await ceph().addUser(name);
      const bucket = await ceph().createBucket({ objectLock });
      const options = { bucket, keys, readerKeys, requireObjectLock: objectLock };
      const made = await site({ opaqueEtags: true }, options);
      const owner = new S3Client(ceph().clientConfig());
      onTestFinished(() => owner.destroy());
      const Policy = change(JSON.stringify(documentedPolicy(bucket, made.machine.settings.backupName)));
      await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      made.machine.snapshotter('dump', 'date +%N >&$1');
      return made;
    }

    it.each([true, false])('they archive (with locks: %s), and list nothing else', async (objectLock) => {
      const made = await bounded(objectLock);
      expect(await made.archive()).toMatchObject({ code: 0 });
      expect(await made.truth()).toMatchObject({ restores: true });
      const prefixes = made.proxy.requests.flatMap(({ method, url }) => {
        const { searchParams } = new URL(url, 'http://x');
        return method === 'GET' && searchParams.has('versions') ? [searchParams.get('prefix')] : [];
      });
      expect(prefixes.length).toBeGreaterThan(1);
      expect(prefixes.every((prefix) => prefix !== null && prefix !== '')).toBe(true);
    });

    it('and not below snapshots/, as policies of before: with a warning, where that would tell', async () => {
      const made = await bounded(true, (policy) => policy.replace(/"snapshots\/[^"]*",(?="manifests)/, ''));
      expect(await made.archive()).toMatchObject({ code: 0 });
      await made.reopen();
      const { summary } = await made.machine.archive();
      expect(summary).toMatchObject({ outcome: 'complete', read: { files: 0 }, counts: { s: 1 } });
      expect(made.events).toMatchObject([
        { type: 'log', level: 'warning', message: expect.stringContaining('cannot be seen') },
        { type: 'log', level: 'info', message: expect.stringContaining('no MD5 sums') },
      ]);
      expect(await made.truth()).toMatchObject({ restores: true, findings: [] });
    });
  });

  it('whose XML has no end: the command has an end, and little memory', async () => {
    const proxy = await LyingProxy.start(ceph().endpoint, { lie: 'endless-xml' });
    onTestFinished(() => proxy.stop());
    const folder = ConfFolder.make();
    folder.conf(`[s3]\nbucket = none\nendpoint_url = ${proxy.endpoint}\nregion = us-east-1\n`);
    folder.picker('files', `find '${folder.confDir}' -type f`);
    const { accessKeyId, secretAccessKey } = ceph().keys;
    const memory = folder.at('memory');
    const { code, stderr } = await runProgram(
      ['archive', '--conf-dir', folder.confDir, '--max-requests', '4'],
      {
        env: {
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
          ...measuringMemory(memory),
        },
      },
    );
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('limit of 4') });
    expect(proxy.requests).toHaveLength(4);
    expect(peakMemory(memory)).toBeLessThan(400 * 2 ** 20);
  });
});

function isContentListing({ method, url }: ProxiedRequest): boolean {
  return (
    method === 'GET' && new URL(url, 'http://x').searchParams.get('prefix')?.startsWith('content/') === true
  );
}
