import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { foreseeBundleBelow } from '#src/archive/bundle-below.js';
import { rebuildCatalog } from '#src/audit/rebuild-catalog.js';
import { knownHeads } from '#src/catalog/known-heads.js';
import { writeHead } from '#src/catalog/objects-file.js';
import { StoreError } from '#src/store/store-error.js';
import { BackupMachine, recorded, type RunResult } from '../../kit/backup-machine.js';
import { FaultyStore } from '../../kit/faulty-store.js';

const MIB = 1024 * 1024;

/** A machine whose conf says nothing of bundles. */
function machineWithout(): BackupMachine {
  const machine = new BackupMachine();
  set(machine, undefined, { blockSize: 16 * MIB });
  machine.write('small', 'a small file');
  return machine;
}

function set(
  machine: BackupMachine,
  bundleBelow: number | undefined,
  more: { blockSize?: number } = {},
): void {
  const content = { ...machine.settings.content, bundleBelow, ...more };
  machine.settings = { ...machine.settings, content };
}

function loseState(machine: BackupMachine): void {
  rmSync(machine.statePath, { recursive: true, force: true });
}

/** What the catalog records; undefined where there is no catalog. */
function recordedBy({ statePath }: BackupMachine): number | undefined {
  return knownHeads(statePath, 'test-backup')[0]?.bundleBelow;
}

/** The catalog becomes one that a program wrote which did not record it. */
function makeOld({ statePath }: BackupMachine): void {
  const [head] = knownHeads(statePath, 'test-backup');
  const { bundleBelow: _, ...old } = head ?? expect.fail('no catalog');
  const [folder = ''] = readdirSync(statePath).filter((name) => name.startsWith('test-backup-'));
  const generation = readFileSync(join(statePath, folder, 'current'), 'utf8').trim();
  writeHead(join(statePath, folder, generation, 'head'), old);
}

/** In which form the small file stands in a run's manifest. */
async function formIn(machine: BackupMachine, { summary }: RunResult): Promise<string> {
  const entry = (await machine.entries(summary)).get('small');
  const key = entry?.typ === 'f' && entry.dat !== null && 'key' in entry.dat ? entry.dat.key : '';
  return key.slice(0, key.indexOf('/'));
}

const lists = ({ asked }: RunResult): string[] =>
  asked.filter(({ kind }) => kind === 'list').map(({ key }) => key);

describe('where bundle_below is not set', () => {
  it('a machine’s first run into a store without runs of its name begins with 1 MiB, and records it', async () => {
    const machine = machineWithout();
    const run = await machine.archive();
    expect(await formIn(machine, run)).toBe('bundles');
    expect(recordedBy(machine)).toBe(MIB);
    expect(lists(run)).toEqual(['manifests/test-backup/']);
  });

  it('what the catalog records counts, from run to run, and costs no request', async () => {
    const machine = machineWithout();
    set(machine, 4);
    await machine.archive();
    set(machine, undefined);
    for (let run = 0; run < 3; run++) {
      machine.write('small', `another ${run}`);
      const result = await machine.archive();
      expect(await formIn(machine, result)).toBe('content');
      expect(lists(result).filter((key) => key === 'bundles/')).toEqual([]);
      expect(recordedBy(machine)).toBe(4);
    }
    set(machine, 8192);
    machine.write('small', 'and in a bundle');
    expect(await formIn(machine, await machine.archive())).toBe('bundles');
    expect(recordedBy(machine)).toBe(8192);
  });

  it('a catalog of before has none: what stands by itself goes on doing so', async () => {
    const machine = machineWithout();
    set(machine, 0);
    await machine.archive();
    makeOld(machine);
    expect(recordedBy(machine)).toBeUndefined();
    set(machine, undefined);
    machine.write('more', 'another small file');
    const run = await machine.archive();
    expect(run.summary.stored.objects).toBe(1);
    expect([await formIn(machine, run), recordedBy(machine)]).toEqual(['content', 0]);
  });

  it.each([
    ['runs of this name and no bundles: none', 0, 'content'],
    ['runs of this name and bundles: 1 MiB', 4096, 'bundles'],
  ])('without a catalog the store decides: %s', async (_, before, form) => {
    const machine = machineWithout();
    set(machine, before);
    await machine.archive();
    loseState(machine);
    set(machine, undefined);
    machine.write('small', 'another small file');
    expect((await machine.archive({ dryRun: true })).summary.estimate?.bundles.files).toBe(
      before === 0 ? 0 : 1,
    );
    const run = await machine.archive();
    expect(await formIn(machine, run)).toBe(form);
    expect(lists(run)).toEqual(expect.arrayContaining(['manifests/test-backup/', 'bundles/']));
    expect(recordedBy(machine)).toBe(before === 0 ? 0 : MIB);
  });

  it('runs of another name say nothing, and neither does what is no manifest', async () => {
    const machine = machineWithout();
    set(machine, 0);
    machine.settings = { ...machine.settings, backupName: 'test-backup-2' };
    await machine.archive();
    machine.settings = { ...machine.settings, backupName: 'test-backup' };
    const body = { bytes: Buffer.from('x'), md5: '9dd4e461268c8034f5c8564e155c67a6', size: 1 };
    const retention = { mode: 'GOVERNANCE' as const, until: Math.ceil(Date.now() / 1000) + 86_400 };
    await machine.memory.put({ key: 'manifests/test-backup/notes', body, retention });
    set(machine, undefined);
    expect(await formIn(machine, await machine.archive())).toBe('bundles');
  });

  it('a store that was emptied is one without a catalog', async () => {
    const machine = machineWithout();
    set(machine, 0);
    await machine.archive();
    set(machine, undefined);
    const other = new BackupMachine();
    // The same store by its name, and nothing in it.
    const run = await machine.archive({ store: other.memory });
    expect(run.warnings.join('\n')).toContain('emptied or replaced');
    expect(recordedBy(machine)).toBe(MIB);
  });

  it('a policy that forbids to list bundles is one of before there were any', async () => {
    const machine = machineWithout();
    set(machine, 0);
    await machine.archive();
    loseState(machine);
    set(machine, undefined);
    const error = () => new StoreError('ACCESS_DENIED', 'access denied listing bundles/');
    const store = new FaultyStore(machine.memory, [
      { request: 'list', key: /^bundles/, when: 'before', error },
    ]);
    expect((await machine.archive({ store })).summary.outcome).toBe('complete');
    expect(recordedBy(machine)).toBe(0);
  });

  it('a file that is longer than a block is in no bundle', async () => {
    const machine = machineWithout();
    set(machine, undefined, { blockSize: 4096 });
    machine.write('small', 'x'.repeat(5000));
    const entry = (await machine.entries((await machine.archive()).summary)).get('small');
    expect(
      entry?.typ === 'f' && Array.isArray(entry.dat) && entry.dat.map(({ key }) => key.split('/')[0]),
    ).toEqual(['content', 'content']);
    expect(recordedBy(machine)).toBe(MIB);
    expect(await foreseeBundleBelow(machine.settings)).toMatchObject({ value: 4096, reason: 'recorded' });
  });

  it.each([
    ['names no bundle: none', 0],
    ['names one: 1 MiB', 4096],
  ])('a catalog that is rebuilt from a run that %s', async (_, before) => {
    const machine = machineWithout();
    set(machine, before);
    await machine.archive();
    loseState(machine);
    set(machine, undefined);
    await rebuildCatalog({ settings: machine.settings, store: machine.store });
    expect(recordedBy(machine)).toBe(before === 0 ? 0 : MIB);
    // Nothing is stored in the other form.
    expect((await machine.archive()).summary.stored.objects).toBe(0);
  });
});

describe('what the next run will take', () => {
  it('is foreseen, and why', async () => {
    const machine = machineWithout();
    const foreseen = async (asks: boolean) =>
      await foreseeBundleBelow(machine.settings, asks ? machine.memory : undefined);
    expect(await foreseen(false)).toEqual({ value: undefined, reason: 'undecided' });
    expect(await foreseen(true)).toEqual({ value: MIB, reason: 'usual' });
    set(machine, 0);
    expect(await foreseen(true)).toEqual({ value: 0, reason: 'set' });
    const { run } = (await machine.archive()).summary;
    set(machine, undefined);
    expect(await foreseen(false)).toEqual({ value: 0, reason: 'recorded', run });
    makeOld(machine);
    expect(await foreseen(true)).toEqual({ value: 0, reason: 'not-recorded', run });
    loseState(machine);
    expect(await foreseen(true)).toEqual({ value: 0, reason: 'no-bundles' });
    expect(await foreseen(false)).toEqual({ value: undefined, reason: 'undecided' });
  });

  it('is told apart for several stores', async () => {
    const machine = machineWithout();
    await machine.archive();
    const other = { ...recorded(machine.memory).store, identity: 'another' };
    const { settings } = machine;
    machine.settings = { ...settings, content: { ...settings.content, bundleBelow: 0 } };
    await machine.archive({ store: other });
    expect(await foreseeBundleBelow(settings)).toEqual({ value: undefined, reason: 'several' });
    expect(await foreseeBundleBelow(settings, machine.memory)).toMatchObject({
      value: MIB,
      reason: 'recorded',
    });
  });
});
