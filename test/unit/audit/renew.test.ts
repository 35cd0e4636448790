import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { failureOfRenewal, renew } from '#src/audit/renew.js';
import type { RenewOptions } from '#src/audit/renew-options.js';
import { machineId } from '#src/catalog/machine-id.js';
import { SysbackupError, type ErrorCode } from '#src/errors.js';
import { classUntil } from '#src/manifest/retention-classes.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import { StoreError } from '#src/store/store-error.js';
import { describe, expect, it } from 'vitest';
import { type Asked, BackupMachine, recorded } from '../../kit/backup-machine.js';
import { changed } from '../../kit/store-wrappers.js';
import { Thief } from '../../kit/thief.js';

const DAY = 86_400_000;
const DAY_SECONDS = 86_400;

async function machineWith(files: number): Promise<BackupMachine> {
  const machine = new BackupMachine();
  machine.now = Date.parse('2026-03-02T02:00:00Z');
  for (let file = 0; file < files; file++) machine.write(`f/${file}`, `content of ${file}`);
  return machine;
}

function renewed(machine: BackupMachine, options: Partial<RenewOptions> = {}) {
  return renew({ store: machine.store, spoolFolder: machine.folder, ...options });
}

async function refOf(machine: BackupMachine, path: string): Promise<ObjectRef> {
  const { summary } = await machine.archive();
  const entry = (await machine.entries(summary)).get(path) as FileEntry & { dat: ObjectRef };
  return entry.dat;
}

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return error instanceof SysbackupError ? error.code : undefined;
}

const extended = (asked: readonly Asked[]) =>
  asked.filter(({ kind }) => kind === 'put-retention').map(({ key }) => key);

describe('renew', () => {
  it('counts what is in bundles: a run whose files went into one is not far smaller', async () => {
    const machine = await machineWith(40);
    await machine.archive();
    machine.now += DAY;
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 4096 } };
    for (let file = 0; file < 40; file++) machine.write(`f/${file}`, `other content of ${file}`);
    const bundled = await machine.archive();
    expect(bundled.asked.filter(({ key }) => key.startsWith('bundles/'))).toHaveLength(1);
    const { runs, machines } = await renewed(machine);
    expect(machines).toMatchObject([{ lastGood: bundled.summary.run, shrunk: false }]);
    expect(runs.map(({ weight }) => weight)).toEqual([40, 40]);
  });

  it('extends each version once, content first and the manifest last, to the days asked for and a slack', async () => {
    const machine = await machineWith(30);
    machine.write('same', 'content of 3');
    machine.snapshotter('db', 'printf dump >&$1');
    const first = await machine.archive();
    machine.now += DAY;
    const second = await machine.archive();
    machine.now += 20 * DAY;
    const { store, asked } = recorded(machine.store);
    const result = await renewed(machine, { store });
    const keys = extended(asked);
    // 30 contents, two snapshots, two manifests.
    expect(keys).toHaveLength(34);
    expect(new Set(keys).size).toBe(34);
    expect(keys.at(-1)).toBe(second.summary.manifest?.key);
    expect(keys.indexOf(first.summary.manifest?.key ?? '')).toBe(31);
    expect(result).toMatchObject({ asked: 34, extended: 34 });
    expect(asked.filter(({ kind, key }) => kind === 'get' && !key.startsWith('manifests/'))).toEqual([]);
    const needed = Math.ceil(machine.now / 1000) + 14 * DAY_SECONDS;
    let least = Number.POSITIVE_INFINITY;
    for (const { kind, key } of asked) {
      if (kind !== 'put-retention') continue;
      const [version] = (await machine.memory.list({ prefix: key })).versions;
      const until = (await machine.memory.getRetention(key, version?.version ?? ''))?.until ?? 0;
      expect(until).toBeGreaterThanOrEqual(needed);
      expect(until).toBeLessThanOrEqual(needed + 7 * DAY_SECONDS);
      if (key.startsWith('content/')) least = Math.min(least, until);
      // Both runs name all contents, and no manifest outlives what it names.
      if (key.startsWith('manifests/')) expect(until).toBeLessThanOrEqual(least);
    }
    expect(failureOfRenewal(result)).toBeUndefined();
    expect(await renewed(machine)).toMatchObject({ extended: 0 });
  });

  it('never shortens, and takes a longer lock for a success', async () => {
    const machine = await machineWith(3);
    const ref = await refOf(machine, 'f/0');
    const far = Math.ceil(machine.now / 1000) + 1000 * DAY_SECONDS;
    await machine.store.extendRetention(ref.key, ref.ver, { mode: 'GOVERNANCE', until: far });
    machine.now += 12 * DAY;
    let told = 0;
    // The store says the old date first: somebody extends the lock between the question and the extension.
    const store = changed(machine.store, {
      getRetention: async (key, version) => {
        const held = await machine.store.getRetention(key, version);
        return key === ref.key && told++ === 0 && held ? { ...held, until: 0 } : held;
      },
    });
    const result = await renewed(machine, { store });
    expect(failureOfRenewal(result)).toBeUndefined();
    expect((await machine.store.getRetention(ref.key, ref.ver))?.until).toBe(far);
  });

  it('says which runs have versions missing or refused, and renews the rest of them', async () => {
    const machine = await machineWith(6);
    const ref = await refOf(machine, 'f/0');
    const other = await refOf(machine, 'f/1');
    machine.memory.deleteVersion(ref.key, ref.ver, { bypassGovernance: true });
    machine.now += 12 * DAY;
    const store = changed(machine.store, {
      extendRetention: async (key, version, retention) => {
        if (key === other.key) throw new SysbackupError('ACCESS_DENIED', 'refused');
        return machine.store.extendRetention(key, version, retention);
      },
    });
    const result = await renewed(machine, { store });
    expect(result.runs).toMatchObject([
      { state: 'incomplete', missing: 1, refused: 1, weight: 5, until: 0 },
      { state: 'incomplete', missing: 1, refused: 1, weight: 5, until: 0 },
    ]);
    // Four contents and two manifests.
    expect(result.extended).toBe(6);
    expect(failureOfRenewal(result)?.code).toBe('DAMAGED');
    const fine = await renewed(machine);
    expect(fine.runs).toMatchObject([{ missing: 1, refused: 0 }, { missing: 1 }]);
  });

  it('stops where the right to extend is missing, and where the store is gone', async () => {
    const machine = await machineWith(30);
    await machine.archive();
    machine.now += 12 * DAY;
    const failing = (error: SysbackupError) =>
      changed(machine.store, { extendRetention: () => Promise.reject(error) });
    const { store, asked } = recorded(failing(new SysbackupError('ACCESS_DENIED', 'no')));
    expect(await codeOf(renewed(machine, { store, concurrency: 1 }))).toBe('ACCESS_DENIED');
    expect(extended(asked)).toHaveLength(20);
    const gone = changed(machine.store, {
      get: () => Promise.reject(new StoreError('STORE_FAILED', 'gone', { retryable: true })),
    });
    expect(await codeOf(renewed(machine, { store: gone }))).toBe('STORE_FAILED');
    expect(await codeOf(renewed(machine, { signal: AbortSignal.abort() }))).toBe('ABORTED');
    expect(await codeOf(renewed(machine, { backup: 'nobody' }))).toBe('NOT_FOUND');
    expect(await codeOf(renewed(machine, { days: 0 }))).toBe('USAGE');
  });

  it('renews the others where one manifest cannot be had', async () => {
    const machine = await machineWith(3);
    const first = await machine.archive();
    machine.now += DAY;
    const second = await machine.archive();
    machine.now += 12 * DAY;
    // Stored in an archive class, or encrypted with a key that only the thief has.
    const store = changed(machine.store, {
      get: async (key, version, range) => {
        if (key === second.summary.manifest?.key) throw new StoreError('STORE_FAILED', 'InvalidObjectState');
        return machine.store.get(key, version, range);
      },
    });
    const result = await renewed(machine, { store });
    expect(result.runs.map(({ state }) => state)).toEqual(['renewed', 'damaged']);
    expect(result.machines[0]?.lastGood).toBe(first.summary.run);
  });

  it('keeps a far larger backup until the smaller one is accepted', async () => {
    const machine = await machineWith(20);
    machine.settings = { ...machine.settings, programs: { timeout: undefined, allowEmpty: ['tree'] } };
    const large = (await machine.archive()).summary.run;
    machine.now += DAY;
    rmSync(join(machine.tree, 'f'), { recursive: true });
    for (let file = 0; file < 5; file++) machine.write(`g/${file}`, `content of ${file}`);
    const small = (await machine.archive()).summary.run;
    machine.now += 12 * DAY;
    await renewed(machine);
    for (let day = 0; day < 40; day += 8) {
      machine.now += 8 * DAY;
      await renewed(machine);
    }
    const kept = await renewed(machine);
    expect(kept.machines).toMatchObject([{ lastGood: large, newest: small, shrunk: true }]);
    expect(kept.runs.map(({ run, reasons }) => [run, reasons])).toEqual([
      [large, ['last-good']],
      [small, ['newest']],
    ]);
    const accepted = await renewed(machine, { accepted: [`test-backup/${small}`] });
    expect(accepted.machines).toMatchObject([{ lastGood: small, newest: small, shrunk: false }]);
    expect(accepted.runs).toHaveLength(1);
    const warnings: string[] = [];
    const onEvent: RenewOptions['onEvent'] = (event) => {
      if (event.type === 'log') warnings.push(event.message);
    };
    await renewed(machine, { accepted: ['test-backup/none'], onEvent });
    expect(warnings.join()).toContain('test-backup/none is not accepted');
  });

  it('gives the first good run of each week, month and year the time of its class', async () => {
    const machine = await machineWith(8);
    // A Sunday, the last day of a week and of a month.
    machine.now = Date.parse('2026-05-31T02:00:00Z');
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    const runs: { run: string; received: number }[] = [];
    const classes = { weekly: 56, monthly: 365, yearly: 2555 };
    for (let day = 0; day < 10; day++) {
      machine.now += DAY / 2;
      thief.storeManifest([]);
      machine.now += DAY / 2;
      runs.push({ run: (await machine.archive()).summary.run, received: machine.now });
      if (day % 3 === 0) await renewed(machine, { classes });
    }
    const result = await renewed(machine, { classes, memoryPath: join(machine.folder, 'memory') });
    const reasons = new Map(result.runs.map(({ run, reasons }) => [run, reasons]));
    // Received from Monday 1 June on: that one, and the next Monday's.
    const standing = runs.filter(({ run }) => (reasons.get(run)?.length ?? 0) > 1);
    expect(reasons.get(runs[0]?.run ?? '')).toEqual(['recent', 'weekly', 'monthly', 'yearly']);
    expect(reasons.get(runs[7]?.run ?? '')).toEqual(['recent', 'weekly']);
    expect(standing.map(({ run }) => run)).toEqual([0, 7, 9].map((day) => runs[day]?.run));
    const untilOf = (run: string | undefined) => result.runs.find((each) => each.run === run)?.until ?? 0;
    expect(untilOf(runs[0]?.run)).toBeGreaterThanOrEqual(classUntil(runs[0]?.received ?? 0, 2555));
    expect(untilOf(runs[7]?.run)).toBeGreaterThanOrEqual(classUntil(runs[7]?.received ?? 0, 56));
    expect(untilOf(runs[1]?.run)).toBeLessThan(classUntil(runs[0]?.received ?? 0, 365));
    const again = await renewed(machine, { classes, memoryPath: join(machine.folder, 'memory') });
    expect(again).toMatchObject({ asked: 0, extended: 0 });
  });

  it('takes a run that is ahead of now neither for the newest nor for the first of its month', async () => {
    const machine = await machineWith(8);
    const ten = 3650 * DAY;
    machine.now += ten;
    const ahead = (await machine.archive()).summary.run;
    machine.now -= ten - DAY;
    machine.write('f/0', 'changed');
    const newest = (await machine.archive()).summary.run;
    machine.now += DAY;
    const warnings: string[] = [];
    const onEvent: RenewOptions['onEvent'] = (event) => {
      if (event.type === 'log') warnings.push(event.message);
    };
    const classes = { monthly: 400 };
    const result = await renewed(machine, { classes, onEvent });
    expect(result.machines).toMatchObject([{ lastGood: newest, newest, shrunk: false }]);
    const reasons = new Map(result.runs.map(({ run, reasons }) => [run, reasons]));
    expect(reasons.get(newest)).toContain('monthly');
    expect(reasons.get(ahead)).toEqual(['recent']);
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`${ahead} .*ahead of now`))]);
    // Where now lies before all of them it is the clock that is doubted, and they are renewed as ever.
    machine.now = DAY;
    const early = await renewed(machine, { onEvent });
    expect(early.machines).toMatchObject([{ lastGood: ahead, newest: ahead }]);
    expect(early.runs.map(({ state }) => state)).toEqual(['renewed', 'renewed']);
    expect(warnings.at(-1)).toContain('clock may be wrong');
  });

  it('lets no run that is dated after its receipt displace one that is not', async () => {
    const machine = await machineWith(5);
    const good = (await machine.archive()).summary.run;
    machine.now += DAY;
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    thief.dateAhead = 400 * DAY;
    const dated = thief.storeManifest(thief.storedFiles(50));
    const { machines, runs } = await renewed(machine);
    expect(runs.map(({ run }) => run)).toContain(dated);
    expect(machines).toMatchObject([{ lastGood: good, newest: good, shrunk: false }]);
  });

  it('looks at the runs of broken pickers not at all, and at those that promise no lock no further', async () => {
    const machine = await machineWith(3);
    machine.picker('second', 'exit 1');
    expect((await machine.archive()).summary.outcome).toBe('broken');
    expect(await codeOf(renewed(machine))).toBe('NOT_FOUND');
    const thief = new Thief(machine.memory, () => machine.now, 'any');
    thief.retention = null;
    thief.storeManifest(thief.inventedFiles(3));
    const result = await renewed(machine);
    expect(result.runs.map(({ state }) => state)).toEqual(['unlocked']);
    expect(result).toMatchObject({ asked: 0, machines: [{ lastGood: undefined }] });
  });

  it('reads no further than a manifest says it goes, and nothing that is too large', async () => {
    const machine = await machineWith(3);
    const good = (await machine.archive()).summary.run;
    const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
    thief.storeManifest(thief.inventedFiles(20));
    const key = (await machine.memory.list({ prefix: 'manifests/' })).versions
      .map(({ key }) => key)
      .find((key) => !key.includes(good));
    const { versions } = await machine.memory.list({ prefix: key ?? '' });
    const stream = await machine.memory.get(key ?? '', versions[0]?.version ?? '');
    const bytes = Buffer.concat(await stream.toArray());
    // The same header and footer, and between them a flood of lines.
    const footerAt = bytes.lastIndexOf(Buffer.from([0x1f, 0x8b, 8]));
    const flood = gzipSync(`${JSON.stringify(thief.inventedFiles(1)[0])}\n`.repeat(50_000));
    thief.storeBytes(Buffer.concat([bytes.subarray(0, footerAt), flood, bytes.subarray(footerAt)]));
    const result = await renewed(machine);
    expect(result.runs.find(({ state }) => state === 'damaged')?.problem).toMatch(/damaged|more lines/);
    expect(result.machines).toMatchObject([{ lastGood: good }]);
    const limited = await renewed(machine, { limits: { entries: 10 } });
    expect(limited.counts.damaged).toBe(2);
    const small = await renewed(machine, { limits: { manifestBytes: 100 } });
    expect(small.runs.every(({ problem }) => problem?.includes('more than the 100'))).toBe(true);
  });

  it('believes its memory only for the same store, and only where it is whole', async () => {
    const machine = await machineWith(3);
    await machine.archive();
    const memoryPath = join(machine.folder, 'memory');
    await renewed(machine, { memoryPath });
    expect((await renewed(machine, { memoryPath })).asked).toBe(0);
    machine.settings = { ...machine.settings, backupName: 'other-backup' };
    await machine.archive();
    // Three contents and the manifest; those of the first backup stay in memory.
    expect((await renewed(machine, { memoryPath, backup: 'other-backup' })).asked).toBe(4);
    expect((await renewed(machine, { memoryPath, backup: 'test-backup' })).asked).toBe(0);
    const kept = readFileSync(memoryPath, 'utf8');
    writeFileSync(memoryPath, kept.replace('"memory:memory"', '"memory:other"'));
    expect((await renewed(machine, { memoryPath })).asked).toBe(5);
    const warnings: string[] = [];
    writeFileSync(memoryPath, kept.slice(0, 40));
    const onEvent: RenewOptions['onEvent'] = (event) => {
      if (event.type === 'log') warnings.push(event.message);
    };
    expect((await renewed(machine, { memoryPath, onEvent })).asked).toBe(5);
    expect(warnings.join()).toContain(memoryPath);
    expect(await codeOf(renewed(machine, { memoryPath: '/nowhere/memory' }))).toBe('SYSTEM');
  });
});
