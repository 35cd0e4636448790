import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GzipBundleTar, PlainBundleTar } from '#src/archive/bundle-tar.js';
import { rebuildCatalog } from '#src/audit/rebuild-catalog.js';
import type { RebuildCatalogOptions, RebuiltCatalog } from '#src/audit/rebuild-options.js';
import { failureOf, verify } from '#src/audit/verify.js';
import { machineId } from '#src/catalog/machine-id.js';
import { StateFolder } from '#src/catalog/state-folder.js';
import { SysbackupError } from '#src/errors.js';
import { machineMark } from '#src/manifest/keys.js';
import { listRuns } from '#src/manifest/runs.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import { restore } from '#src/restore/restore.js';
import { StoreError } from '#src/store/store-error.js';
import { listAll } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { type Asked, BackupMachine, pastTheTick, recorded } from '../../kit/backup-machine.js';
import { FaultyStore } from '../../kit/faulty-store.js';
import { changed } from '../../kit/store-wrappers.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { Thief } from '../../kit/thief.js';

const DAY = 86_400_000;
const LOCK = { mode: 'GOVERNANCE' as const, until: Math.ceil(Date.now() / 1000) + 30 * 86_400 };

/** A machine with small files in bundles, one of its own object, one in blocks, and a snapshot. */
function machineWithBundles(): BackupMachine {
  const machine = new BackupMachine();
  machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 4096 } };
  for (let index = 0; index < 60; index++) machine.write(`small/${index}`, `content ${index}`);
  for (let index = 0; index < 20; index++) machine.write(`text/${index}`, `${index} line\n`.repeat(200));
  machine.write('large', randomBytes(50_000));
  machine.write('blocks', randomBytes(150_000));
  machine.snapshotter('db', 'printf "a dump" >&$1');
  return machine;
}

async function rebuild(
  machine: BackupMachine,
  options: Partial<RebuildCatalogOptions> = {},
): Promise<RebuiltCatalog & { asked: Asked[]; warnings: string[] }> {
  const { store, asked } = recorded(options.store ?? machine.store);
  const warnings: string[] = [];
  const result = await rebuildCatalog({
    settings: machine.settings,
    onEvent: (event) => {
      if (event.type === 'log' && event.level === 'warning') warnings.push(event.message);
    },
    ...options,
    store,
  });
  return { ...result, asked, warnings };
}

function loseState(machine: BackupMachine): void {
  rmSync(machine.statePath, { recursive: true });
}

/** What a run asked for to have its content stored: its snapshot, its manifest and the share of asking left out. */
function contentRequests(asked: readonly Asked[]): Asked[] {
  const isOther = /^(?:manifests|snapshots)\//;
  return asked.filter(
    ({ kind, key }) =>
      kind !== 'get-bucket-configuration' &&
      !isOther.test(key) &&
      !(kind === 'list' && key.startsWith('bundles/')),
  );
}

async function keys(machine: BackupMachine, prefix: string): Promise<string[]> {
  const found = [];
  for await (const { key } of listAll(machine.store, { prefix })) found.push(key);
  return found;
}

async function expectWhole(machine: BackupMachine): Promise<void> {
  const run = (await listRuns(machine.store)).at(-1);
  if (run === undefined) throw new Error('there is no run');
  const spoolFolder = temporaryFolder();
  const result = await verify({ store: machine.store, run, readData: 100, spoolFolder });
  expect(failureOf(result)).toBeUndefined();
  const target = temporaryFolder();
  expect((await restore({ store: machine.store, run, target, spoolFolder })).failed).toBe(0);
  for (const path of readdirSync(machine.tree, { recursive: true, withFileTypes: true })) {
    const full = join(path.parentPath, path.name);
    if (path.isFile()) expect(readFileSync(join(target, full)).equals(readFileSync(full)), full).toBe(true);
  }
}

function currentOf(machine: BackupMachine): string {
  const [folder = ''] = readdirSync(machine.statePath);
  return readFileSync(join(machine.statePath, folder, 'current'), 'utf8');
}

describe('rebuildCatalog', () => {
  it('makes the run after a loss as cheap as without one, bundles included', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    await pastTheTick();
    const result = await rebuild(machine);
    expect(result).toMatchObject({
      objects: 4,
      bundles: 1,
      members: 80,
      missing: 0,
      refused: 0,
      unknownLocks: 0,
    });
    machine.now += DAY;
    const { summary, asked } = await machine.archive();
    expect(contentRequests(asked)).toEqual([]);
    expect(summary).toMatchObject({ outcome: 'complete', renewed: 0, stored: { objects: 1 } });
    expect(summary.read.files).toBe(82);
    await expectWhole(machine);
    // And from then on nothing is read either.
    const after = await machine.archive();
    expect(after.summary.read.files).toBe(0);
    expect(contentRequests(after.asked).filter(({ kind }) => kind !== 'list')).toEqual([]);
  });

  it('sends nothing but reads', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    const { asked } = await rebuild(machine);
    const kinds = new Set(asked.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['get', 'get-bucket-configuration', 'head', 'list']);
    expect(asked.filter(({ kind }) => kind === 'head')).toHaveLength(5);
    expect(asked.filter(({ kind }) => kind === 'get')).toHaveLength(2);
  });

  it('knows how much of a bundle is still named, read or not', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    for (let index = 0; index < 60; index++) machine.write(`small/${index}`, `other content ${index}`);
    for (let index = 0; index < 12; index++) machine.write(`text/${index}`, `${index} other\n`.repeat(200));
    machine.now += DAY;
    await machine.archive();
    const kept = readCatalogOf(machine).bundles;
    for (const trustManifest of [false, true]) {
      loseState(machine);
      await rebuild(machine, { trustManifest });
      const rebuilt = readCatalogOf(machine).bundles;
      expect(rebuilt.map(({ sha }) => sha).sort()).toEqual(kept.map(({ sha }) => sha).sort());
      for (const { sha, size, live } of kept) {
        const found = rebuilt.find((each) => each.sha === sha);
        // Unread, its filling is guessed at: enough to tell on which side of a half it is.
        if (trustManifest) expect((found?.live ?? 0) * 2 < (found?.size ?? 0)).toBe(live * 2 < size);
        else expect(found).toMatchObject({ size, live });
      }
    }
  });

  it('reads no bundle where the manifest is to be trusted', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    const result = await rebuild(machine, { trustManifest: true });
    expect(result.asked.filter(({ kind, key }) => kind === 'get' && key.startsWith('bundles/'))).toEqual([]);
    expect(result).toMatchObject({ bundles: 1, members: 80 });
    expect(contentRequests((await machine.archive()).asked)).toEqual([]);
    await expectWhole(machine);
  });

  it('keeps the versions of its own where nothing is shared', async () => {
    const machine = machineWithBundles();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, share: false } };
    await machine.archive();
    loseState(machine);
    await rebuild(machine);
    expect(contentRequests((await machine.archive()).asked)).toEqual([]);
  });

  it('has locks extended that the store does not tell', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    const blind = changed(machine.store, {
      head: async (key, version) => ({ ...(await machine.store.head(key, version)), retention: undefined }),
    });
    expect(await rebuild(machine, { store: blind })).toMatchObject({ unknownLocks: 5 });
    const { asked } = await machine.archive();
    expect(contentRequests(asked).map(({ kind }) => kind)).toEqual(Array(5).fill('put-retention'));
    expect(contentRequests((await machine.archive()).asked).filter(({ kind }) => kind !== 'list')).toEqual(
      [],
    );
  });

  it('works where the store has no locks', async () => {
    const machine = machineWithBundles();
    const unlocking = changed(machine.store, {
      capabilities: async () => ({ objectLock: false, versioning: true }),
    });
    machine.store = unlocking;
    const s3 = {
      prefix: '',
      forcePathStyle: false,
      requireObjectLock: false,
      aws: {},
      cloudFormation: { export: 'none' },
    };
    machine.settings = { ...machine.settings, destination: { kind: 's3', s3 } };
    await machine.archive();
    loseState(machine);
    expect(await rebuild(machine)).toMatchObject({ bundles: 1, unknownLocks: 0 });
    for (let run = 0; run < 2; run++)
      expect(contentRequests((await machine.archive()).asked).filter(({ kind }) => kind !== 'list')).toEqual(
        [],
      );
  });

  it('counts what is gone or damaged, and the next run stores that anew', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    machine.write('small/late', 'comes in a second bundle');
    machine.now += 1000;
    await machine.archive();
    const [first = '', second = ''] = await keys(machine, 'bundles/');
    const [content = ''] = await keys(machine, 'content/');
    const version = async (key: string) =>
      (await machine.memory.list({ prefix: key })).versions[0]?.version ?? '';
    machine.memory.deleteVersion(content, await version(content), { bypassGovernance: true });
    machine.memory.deleteVersion(second, await version(second), { bypassGovernance: true });
    loseState(machine);
    const broken = changed(machine.store, {
      get: async (key, ver, range) =>
        machine.store.get(
          key === first ? await manifestOf(machine) : key,
          key === first ? await version(await manifestOf(machine)) : ver,
          range,
        ),
    });
    const result = await rebuild(machine, { store: broken });
    expect(result).toMatchObject({ missing: 2, refused: 1, bundles: 0, objects: 3 });
    expect(result.warnings).toEqual([expect.stringContaining('other bytes than were stored')]);
    machine.now += 1000;
    const { asked } = await machine.archive();
    expect(asked.filter(({ kind, key }) => kind === 'put' && /^(?:content|bundles)/.test(key))).toHaveLength(
      2,
    );
    await expectWhole(machine);
  });
});

async function manifestOf(machine: BackupMachine): Promise<string> {
  return (await keys(machine, 'manifests/'))[0] ?? '';
}

/** What the catalog says of bundles: live bytes as the next run counts them. */
function readCatalogOf(machine: BackupMachine) {
  const { settings, store } = machine;
  const state = StateFolder.open(settings.statePath, store.identity, settings.backupName);
  try {
    const catalog = state.readCatalog();
    if (catalog === undefined || typeof catalog === 'string') throw new Error(`no catalog: ${catalog}`);
    const { bundles } = catalog.objects;
    return {
      bundles: Array.from({ length: bundles.size }, (_, bundle) => {
        const { sha, size, lastLive } = bundles.get(bundle);
        return { sha: sha.toString('hex'), size, live: lastLive };
      }),
    };
  } finally {
    state.close();
  }
}

describe('the run that is read back', () => {
  it('is the newest of this machine that is whole, not broken and not empty', async () => {
    const machine = machineWithBundles();
    const good = await machine.archive();
    machine.picker('zero', 'exit 1');
    machine.now += 1000;
    expect((await machine.archive()).summary.outcome).toBe('broken');
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    machine.now += 1000;
    thief.storeManifest([]);
    machine.now += 1000;
    const damaged = thief.storeBytes(randomBytes(500));
    thief.dateAhead = 400 * DAY;
    thief.storeManifest(thief.storedFiles(1));
    thief.dateAhead = 0;
    // Another machine, and another one whose run ids begin alike.
    const mark = thief.mark;
    for (const ids of [['another'], Array.from({ length: 1e6 }, (_, index) => `machine ${index}`)]) {
      thief.machine = ids.find((id) => ids.length === 1 || machineMark(id) === mark) ?? 'none';
      machine.now += 1000;
      thief.storeManifest(thief.storedFiles(1));
    }
    expect(thief.mark).toBe(mark);
    loseState(machine);
    const { run, warnings } = await rebuild(machine);
    expect(run).toBe(good.summary.run);
    expect(warnings.some((message) => message.includes(damaged))).toBe(true);
  });

  it('may be named where the machine has another id, and must be', async () => {
    const machine = machineWithBundles();
    const { summary } = await machine.archive();
    loseState(machine);
    const systemIdPath = join(machine.folder, 'machine-id');
    writeFileSync(systemIdPath, 'set up anew\n');
    const failure = await rebuild(machine, { systemIdPath }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining(`rebuild-catalog ${summary.run}`),
    });
    expect(readdirSync(join(machine.statePath, readdirSync(machine.statePath)[0] ?? ''))).not.toContain(
      'current',
    );
    const [run] = await listRuns(machine.store);
    await rebuild(machine, { systemIdPath, run });
    expect(contentRequests((await machine.archive({ systemIdPath })).asked)).toEqual([]);
  });

  it('must be of the same backup', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    const [run] = await listRuns(machine.store);
    machine.settings = { ...machine.settings, backupName: 'other' };
    await expect(rebuild(machine, { run })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('is not found in an empty store', async () => {
    await expect(rebuild(machineWithBundles())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a catalog that is there', () => {
  it('is kept where nobody says otherwise, and replaced where somebody does', async () => {
    const machine = machineWithBundles();
    const { summary } = await machine.archive();
    const before = currentOf(machine);
    await expect(rebuild(machine)).rejects.toMatchObject({ code: 'USAGE' });
    const asked: string[] = [];
    const no = (run: string) => asked.push(run) === 0;
    await expect(rebuild(machine, { mayReplace: no })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(asked).toEqual([summary.run]);
    expect(currentOf(machine)).toBe(before);
    await rebuild(machine, { mayReplace: () => true });
    expect(currentOf(machine)).not.toBe(before);
    expect((await machine.archive()).summary.read.files).toBe(82);
  });

  it('is replaced unasked where it is damaged', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    const [folder = ''] = readdirSync(machine.statePath);
    const objects = join(machine.statePath, folder, currentOf(machine).trim(), 'objects');
    writeFileSync(objects, readFileSync(objects).subarray(0, -5));
    await rebuild(machine);
    expect(contentRequests((await machine.archive()).asked)).toEqual([]);
  });

  it('is not touched while a run has the lock', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    const state = StateFolder.open(machine.statePath, machine.store.identity, 'test-backup');
    await expect(rebuild(machine, { mayReplace: () => true })).rejects.toMatchObject({ code: 'RUN_LOCKED' });
    state.close();
  });

  it.each([
    ['manifest', { request: 'get' as const, key: /^manifests/, when: 'before' as const }],
    ['bundle', { request: 'get' as const, key: /^bundles/, when: 'before' as const }],
    ['head of an object', { request: 'head' as const, key: /^content/, nth: 3, when: 'before' as const }],
    ['listing', { request: 'list' as const, when: 'before' as const }],
  ])('stays as it is where the store fails to give the %s', async (_what, fault) => {
    const machine = machineWithBundles();
    await pastTheTick();
    await machine.archive();
    const before = currentOf(machine);
    const store = new FaultyStore(machine.store, [fault]);
    await expect(rebuild(machine, { store, mayReplace: () => true })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
    expect(currentOf(machine)).toBe(before);
    const [folder = ''] = readdirSync(machine.statePath);
    expect(readdirSync(join(machine.statePath, folder)).sort()).toEqual([before.trim(), 'current', 'lock']);
    expect((await machine.archive()).summary.read.files).toBe(0);
  });

  it('stays where reading is denied, or the work is stopped', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    const denied = () => new SysbackupError('ACCESS_DENIED', 'no right to read');
    const store = new FaultyStore(machine.store, [{ request: 'head', when: 'before', error: denied }]);
    await expect(rebuild(machine, { store })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    const stop = new AbortController();
    const stopping = changed(machine.store, {
      head: async (key, version) => (stop.abort(), machine.store.head(key, version)),
    });
    await expect(rebuild(machine, { store: stopping, signal: stop.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(() => readCatalogOf(machine)).toThrow('no catalog');
  });
});

describe('a thief with the rights of the machine', () => {
  const wanted = 'what the machine has';
  const sha = createHash('sha256').update(wanted).digest();

  /** A machine that has lost its catalog, with one file, and the thief's manifest as the newest in the store. */
  async function machineRobbed(
    refOf: (thief: Thief, machine: BackupMachine) => Promise<ObjectRef>,
    below: number,
  ) {
    const machine = new BackupMachine();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: below } };
    machine.write('other', 'something else');
    await machine.archive();
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    machine.now += 1000;
    const file = thief.file('/a', await refOf(thief, machine), sha.toString('hex'), wanted.length);
    const run = thief.storeManifest([file]);
    machine.write('wanted', wanted);
    loseState(machine);
    const result = await rebuild(machine);
    expect(result.run).toBe(run);
    machine.now += 1000;
    const { summary } = await machine.archive();
    const entry = (await machine.entries(summary)).get('wanted') as FileEntry;
    await expectWhole(machine);
    return { result, entry, machine };
  }

  it('cannot have bad bytes used as an object', async () => {
    const key = `content/${sha.toString('hex')}`;
    const put = (_thief: Thief, machine: BackupMachine) =>
      machine.memory.putForeign({ key, bytes: Buffer.from('what the thief gives'), retention: LOCK });
    const { result, entry } = await machineRobbed(
      async (thief, machine) => ({ key, ver: put(thief, machine).version }),
      0,
    );
    expect(result).toMatchObject({ objects: 1 });
    expect(entry.dat).toMatchObject({ key });
  });

  it.each([
    ['a tar of other bytes under the name', false, 'other bytes at its byte'],
    ['a tar that is not the one its key says', true, 'other bytes than were stored'],
  ])('cannot have bad bytes used in a bundle: %s', async (_what, changeKey, said) => {
    for (const tar of [new PlainBundleTar(), new GzipBundleTar()]) {
      const bytes = Buffer.from(changeKey ? wanted : wanted.toUpperCase());
      const place = tar.add({ sha, enc: undefined, bytes, size: bytes.length });
      const { sha: tarSha, body } = tar.finish();
      const stored = Buffer.concat('pieces' in body ? (body.pieces as Buffer[]) : []);
      const key = `bundles/${(changeKey ? sha : tarSha).toString('hex')}.tar`;
      const { result, entry } = await machineRobbed(async (_thief, machine) => {
        const { version } = machine.memory.putForeign({ key, bytes: stored, retention: LOCK });
        const { off, len, enc } = place;
        return { key, ver: version, off, len, ...(enc === undefined ? {} : { enc }) };
      }, 4096);
      expect(result).toMatchObject({ bundles: 0, refused: 1 });
      expect(result.warnings).toEqual([expect.stringContaining(said)]);
      expect((entry.dat as ObjectRef).key).not.toBe(key);
    }
  });

  it('cannot have the catalog hold what it cannot, or the program fall over it', async () => {
    const { result } = await machineRobbed(
      async () => ({
        key: `bundles/${'0'.repeat(64)}.tar`,
        ver: 'x'.repeat(1000),
        off: 2 ** 40,
        len: 2 ** 40,
      }),
      0,
    );
    expect(result).toMatchObject({ bundles: 0, objects: 0 });
  });

  it('cannot make it fail by versions that the store will not show, such as those encrypted with a key of his', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    loseState(machine);
    const hidden = () =>
      new StoreError('STORE_FAILED', 'the object was stored with a key', { retryable: false });
    const store = new FaultyStore(machine.store, [
      { request: 'head', key: /^content/, nth: 2, when: 'before', error: hidden },
      { request: 'get', key: /^bundles/, nth: 1, when: 'before', error: hidden },
    ]);
    const result = await rebuild(machine, { store });
    expect(result).toMatchObject({ objects: 3, bundles: 0, refused: 2, missing: 0 });
    expect(result.warnings).toEqual(Array(2).fill(expect.stringContaining('stored with a key')));
  });

  it('cannot make a lock look longer than it is', async () => {
    const machine = machineWithBundles();
    await machine.archive();
    const [run] = await listRuns(machine.store);
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    const files = [...(await machine.entries({ manifest: run } as never)).values()].filter(
      ({ typ }) => typ === 'f',
    );
    machine.now += 20 * DAY;
    thief.storeManifest(files);
    loseState(machine);
    await rebuild(machine);
    const { asked } = await machine.archive();
    expect(contentRequests(asked).filter(({ kind }) => kind === 'put-retention').length).toBeGreaterThan(0);
  });
});
