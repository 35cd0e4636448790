import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { FileEntry } from '#src/manifest/types.js';
import type { RunSummary } from '#src/archive/options.js';
import { renew } from '#src/audit/renew.js';
import type { RenewOptions, RenewResult } from '#src/audit/renew-options.js';
import { failureOf, verify } from '#src/audit/verify.js';
import { machineId } from '#src/catalog/machine-id.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { listRuns, type StoredRun } from '#src/manifest/runs.js';
import { restore } from '#src/restore/restore.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine } from '../../kit/backup-machine.js';
import { Thief } from '../../kit/thief.js';

const DAY = 86_400_000;

/** The bucket's lifecycle as the templates set it. */
const LIFECYCLE = { expireAfterDays: 14, noncurrentDays: 1 };

/** A machine that backed up a changing tree for ten days and then was no more. */
async function machineThatEnds() {
  const machine = new BackupMachine();
  machine.now = Date.parse('2026-03-01T02:00:00Z');
  for (let file = 0; file < 20; file++) machine.write(`keep/${file}`, `stays the same ${file}`);
  machine.write('large', randomBytes(150_000));
  machine.snapshotter('db', 'printf "a dump" >&$1');
  let last: RunSummary | undefined;
  for (let day = 0; day < 10; day++) {
    machine.write(`daily/${day % 4}`, `written on day ${day}`);
    last = (await machine.archive()).summary;
    passNight(machine);
  }
  if (!last) throw new Error('there was no run');
  const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
  return { machine, last, thief };
}

function passNight(machine: BackupMachine): void {
  machine.now += DAY;
  machine.memory.passNight(LIFECYCLE);
}

/** Renews once a day from elsewhere, with what happens each day before it. */
async function days(
  machine: BackupMachine,
  count: number,
  each: (day: number) => void = () => undefined,
  options: Partial<RenewOptions> = {},
): Promise<RenewResult> {
  let result: RenewResult | undefined;
  for (let day = 0; day < count; day++) {
    each(day);
    result = await renew({ store: machine.store, spoolFolder: machine.folder, ...options });
    passNight(machine);
  }
  if (!result) throw new Error('no day passed');
  return result;
}

/** Restores a run and compares it with the tree; verifies it too, every byte read. */
async function expectWhole(machine: BackupMachine, run: StoredRun): Promise<void> {
  const result = await verify({ store: machine.store, run, readData: 100, spoolFolder: machine.folder });
  expect(failureOf(result)).toBeUndefined();
  expect(result.runs[0]?.state).toBe('checked');
  const target = join(machine.folder, 'restored');
  mkdirSync(target);
  const summary = await restore({ store: machine.store, run, target, spoolFolder: machine.folder });
  expect(summary.failed).toBe(0);
  expect(filesOf(join(target, machine.tree))).toEqual(filesOf(machine.tree));
}

function filesOf(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
  const files = paths.filter((path) => statSync(path).isFile());
  return new Map(files.sort().map((path) => [relative(folder, path), readFileSync(path, 'hex')]));
}

async function runOf(machine: BackupMachine, id: string): Promise<StoredRun> {
  const run = (await listRuns(machine.store)).find((each) => each.run === id);
  if (!run) throw new Error(`the run ${id} is gone`);
  return run;
}

describe('after a machine has ended', () => {
  it('its backups lapse where nobody renews them', async () => {
    const { machine } = await machineThatEnds();
    for (let day = 0; day < 60; day++) passNight(machine);
    expect(await listRuns(machine.store)).toEqual([]);
  });

  it('its last good backup lives on for as long as it is renewed, and the others go', async () => {
    const { machine, last } = await machineThatEnds();
    const result = await days(machine, 60);
    expect(result.machines).toMatchObject([{ lastGood: last.run, newest: last.run, shrunk: false }]);
    const left = await listRuns(machine.store);
    expect(left.map(({ run }) => run)).toEqual([last.run]);
    await expectWhole(machine, await resolveRun(machine.store, 'latest'));
  });

  it('costs less where it remembers, with the same outcome', async () => {
    const { machine, last } = await machineThatEnds();
    const memoryPath = join(machine.folder, 'renewed.json');
    const first = await days(machine, 1, undefined, { memoryPath });
    machine.now -= DAY;
    const again = await days(machine, 1, undefined, { memoryPath });
    expect(first.asked).toBeGreaterThan(30);
    expect(again).toMatchObject({ asked: 0, extended: 0 });
    expect(again.runs.map(({ state }) => state)).toEqual(first.runs.map(() => 'current'));
    expect(again.runs.map(({ weight }) => weight)).toEqual(first.runs.map(({ weight }) => weight));
    await days(machine, 59, undefined, { memoryPath });
    expect((await listRuns(machine.store)).map(({ run }) => run)).toEqual([last.run]);
    await expectWhole(machine, await runOf(machine, last.run));
  });
});

describe('after a thief has taken over', () => {
  async function survives(each: (thief: Thief, day: number) => void, options?: Partial<RenewOptions>) {
    const { machine, last, thief } = await machineThatEnds();
    const memoryPath = join(machine.folder, 'renewed.json');
    const result = await days(machine, 60, (day) => each(thief, day), { memoryPath, ...options });
    await expectWhole(machine, await runOf(machine, last.run));
    return { machine, last, thief, result };
  }

  it('empty manifests each day replace nothing', async () => {
    const { machine, last, thief, result } = await survives((thief) => thief.storeManifest([]));
    expect(result.machines).toMatchObject([{ machine: thief.mark, lastGood: last.run }]);
    // And who asks for the newest backup gets it.
    expect((await resolveRun(machine.store, 'latest')).run).toBe(last.run);
  });

  it('nor do manifests of another machine, or of many', async () => {
    const { last, result } = await survives((thief, day) => {
      thief.machine = `other ${day % 7}`;
      thief.storeManifest([]);
    });
    expect(result.machines.find(({ lastGood }) => lastGood === last.run)).toBeDefined();
  });

  it('nor do manifests dated in the future', async () => {
    await survives((thief) => {
      thief.dateAhead = 400 * DAY;
      thief.storeManifest([]);
    });
  });

  it('nor do folders and empty files without number, or contents that were never stored', async () => {
    const { last, result } = await survives((thief, day) => {
      const files = thief.inventedFiles(80);
      const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
      thief.storeManifest(
        day % 2 ? files : files.map((file) => ({ ...file, dat: null, sha: empty, size: 0 })),
      );
    });
    expect(result.machines).toMatchObject([{ lastGood: last.run }]);
    expect(result.counts.missing).toBeGreaterThan(0);
  });

  it('nor do one content named a thousand times, or a little less each time', async () => {
    const { last, result } = await survives((thief, day) => {
      const [first] = thief.storedFiles(1) as [FileEntry];
      const files = Array.from({ length: 100 }, (_, index) => ({ ...first, path: `/${1000 + index}` }));
      thief.storeManifest(day % 2 ? files : thief.storedFiles(Math.max(0, 11 - (day >> 2))));
    });
    expect(result.machines).toMatchObject([{ lastGood: last.run, shrunk: true }]);
  });

  it('nor do damaged manifests', async () => {
    const { result } = await survives((thief, day) => {
      if (day % 4 === 0) thief.storeBytes(randomBytes(500));
      if (day % 4 === 2) thief.storeBytes(Buffer.alloc(5000));
    });
    expect(result.counts.damaged).toBeGreaterThan(0);
  });

  it('nor does a flood that is more than is looked at', async () => {
    const { result } = await survives(
      (thief) => {
        thief.lockDays = 1000;
        for (let each = 0; each < 3; each++) thief.storeManifest([]);
      },
      { limits: { runsPerMachine: 15 } },
    );
    expect(result.counts.unread).toBeGreaterThan(0);
  });

  it("nor can he make other backups' snapshots or manifests stay, or turn locks into COMPLIANCE", async () => {
    const { machine, last, thief } = await machineThatEnds();
    const entries = await machine.entries(last);
    const files = [...entries.values()].flatMap((entry) => (entry.typ === 'f' ? [entry] : []));
    const own = await runOf(machine, last.run);
    thief.backup = 'thief-backup';
    thief.retention = { mode: 'COMPLIANCE', until: '2100-01-01T00:00:00Z' };
    const stolen = thief.file('/zzz', { key: own.key, ver: own.version }, '00'.repeat(32));
    thief.storeManifest([...files, stolen]);
    const before = await machine.store.getRetention(own.key, own.version);
    await renew({ store: machine.store, spoolFolder: machine.folder, backup: 'thief-backup' });
    expect(await machine.store.getRetention(own.key, own.version)).toEqual(before);
    for (const { dat } of files) {
      for (const ref of [dat ?? []].flat())
        expect((await machine.store.getRetention(ref.key, ref.ver))?.mode).toBe('GOVERNANCE');
    }
  });
});
