import { createHash } from 'node:crypto';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PathToStore, RunSummary } from '#src/archive/options.js';
import type { Settings } from '#src/config/settings.js';
import type { RequestCounts, RequestKind } from '#src/events.js';
import { CountingStore } from '#src/store/counting.js';
import { MemoryStore } from '#src/store/memory.js';
import type { ObjectStore } from '#src/store/port.js';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';
import { GeneratedTree, generatedEdit, generatedNode } from '../../kit/generated-tree.js';

const BLOCK = 4096;
const DAY = 86_400_000;

function machineWith(
  content: Partial<Settings['content']> = {},
  more: Partial<Settings> = {},
): BackupMachine {
  const machine = new BackupMachine();
  const { settings } = machine;
  machine.settings = { ...settings, ...more, content: { ...settings.content, blockSize: BLOCK, ...content } };
  return machine;
}

/** A run as the command line makes one: its requests are counted from the opening of the store. */
async function counted(machine: BackupMachine, dryRun = false): Promise<RunSummary> {
  const store = new CountingStore(machine.memory);
  return (await machine.archive({ store, requests: () => store.requests, dryRun })).summary;
}

/** Foretold and done, in this order, with nothing changed in between. */
async function both(machine: BackupMachine) {
  const dry = await counted(machine, true);
  const run = await counted(machine);
  const { estimate } = dry;
  if (estimate === undefined) throw new Error('a dry run without an estimate');
  return { dry, run, estimate };
}

/** Bytes that do not compress, the same for the same number. */
function noise(seed: number, size: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < size; at += 64) pieces.push(createHash('sha512').update(`${seed}/${at}`).digest());
  return Buffer.concat(pieces).subarray(0, size);
}

function expectWithin(actual: RequestCounts, least: RequestCounts, most: RequestCounts): void {
  const kinds = new Set([...Object.keys(actual), ...Object.keys(most)]) as Set<RequestKind>;
  for (const kind of kinds) {
    expect(actual[kind] ?? 0, `${kind}, at least`).toBeGreaterThanOrEqual(least[kind] ?? 0);
    expect(actual[kind] ?? 0, `${kind}, at most`).toBeLessThanOrEqual(most[kind] ?? 0);
  }
}

/** The paths below the tree that a dry run would store, with why. */
async function listed(machine: BackupMachine, store: ObjectStore = machine.memory): Promise<string[]> {
  const paths: PathToStore[] = [];
  await machine.archive({ store, dryRun: true, onPaths: (batch) => void paths.push(...batch) });
  expect(paths.map(({ path }) => path)).toEqual(paths.map(({ path }) => path).toSorted());
  return paths
    .filter(({ path }) => path.startsWith(`${machine.tree}/`))
    .map(({ path, kind, change, bytes }) =>
      [change, kind, path.slice(machine.tree.length + 1), ...(kind === 'f' ? [bytes] : [])].join(' '),
    );
}

describe('a dry run lists what the run would store', () => {
  it('new, changed, and again where the store has lost it; nothing of what stays', async () => {
    const machine = machineWith();
    for (const name of ['a/changed', 'a/same', 'b/same']) machine.write(name, name);
    symlinkSync('same', join(machine.tree, 'b/link'));
    await pastTheTick();
    expect(await listed(machine)).toEqual([
      'new d a',
      'new f a/changed 9',
      'new f a/same 6',
      'new d b',
      'new l b/link',
      'new f b/same 6',
    ]);
    await machine.archive();
    expect(await listed(machine)).toEqual([]);

    machine.write('a/changed', 'something else');
    machine.write('b/new', '');
    await pastTheTick();
    expect(await listed(machine)).toEqual(['changed f a/changed 14', 'changed d b', 'new f b/new 0']);
    await machine.archive();
    expect(await listed(machine)).toEqual([]);

    const emptied = new MemoryStore({ now: () => machine.now });
    const again = await listed(machine, emptied);
    expect(again).toHaveLength(7);
    for (const line of again) expect(line).toMatch(/^again /);
  });

  it('with the number of locks that are due by then', async () => {
    const machine = machineWith();
    for (let file = 0; file < 30; file++) machine.write(`${file}`, noise(file, 100));
    await counted(machine);
    let due = 0;
    for (let night = 1; night < 14; night++) {
      machine.now += DAY;
      const { dry, run } = await both(machine);
      expect(dry.renewed).toBe(run.renewed);
      due += dry.renewed;
    }
    expect(due).toBeGreaterThanOrEqual(30);
  });
});

describe('a dry run foretells the run', () => {
  it('of any generated tree, after any changes, days later, with or without its memory', async () => {
    const nodes = fc.array(generatedNode(BLOCK), { maxLength: 25 });
    const edits = fc.array(generatedEdit(BLOCK), { maxLength: 6 });
    const circumstances = fc.record({
      bundleBelow: fc.constantFrom(0, 2000),
      share: fc.boolean(),
      classes: fc.constantFrom({}, { weekly: 56 }, { weekly: 56, monthly: 372 }),
      days: fc.constantFrom(0, 1, 6, 12, 30),
      forgets: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(nodes, edits, circumstances, async (first, changes, given) => {
        const { bundleBelow, share, classes, days, forgets } = given;
        const machine = machineWith({ bundleBelow, share }, { classes });
        const tree = new GeneratedTree(machine.tree);
        tree.plant(first);
        for (let turn = 0; turn < 2; turn++) {
          const { dry, run, estimate } = await both(machine);
          expectWithin(run.requests, estimate.requests.least, estimate.requests.most);
          expect(dry.read).toEqual(run.read);
          expect(dry.counts).toEqual(run.counts);
          expect(dry.bytes).toBe(run.bytes);
          expect(run.stored.objects).toBeLessThanOrEqual(estimate.stored.objects);
          expect(run.stored.bytes).toBeLessThanOrEqual(estimate.stored.bytes);
          if (dry.read.files === 0) {
            expect(estimate.requests.least).toEqual(estimate.requests.most);
            expect(run.requests).toEqual(estimate.requests.most);
            expect(dry.reused).toBe(run.reused);
          }
          for (const change of changes) tree.edit(change);
          await pastTheTick();
          machine.now += days * DAY;
          if (forgets) rmSync(machine.statePath, { recursive: true });
        }
      }),
      { numRuns: Number(process.env['DRY_RUNS'] ?? 25), endOnFailure: true },
    );
  }, 300_000);

  it('to the request where all is new and nothing is alike', async () => {
    const machine = machineWith();
    for (let file = 0; file < 20; file++) machine.write(`${file}`, noise(file, BLOCK * 2 + 1));
    const { run, estimate } = await both(machine);
    expect(run.requests).toEqual(estimate.requests.most);
    expect(run.stored).toEqual(estimate.stored);
    expect(estimate.stored).toEqual({ objects: 60, bytes: 20 * (2 * BLOCK + 1) });
  });

  it('to the request where nothing is new, through two months of nights, of which one a week is kept longer', async () => {
    const machine = machineWith({ bundleBelow: 1000 }, { classes: { weekly: 21 } });
    for (let file = 0; file < 12; file++) machine.write(`${file}`, noise(file, file * 200));
    await pastTheTick();
    await counted(machine);
    let renewals = 0;
    for (let night = 1; night < 62; night++) {
      machine.now += DAY;
      const { run, estimate } = await both(machine);
      expect(run.requests).toEqual(estimate.requests.least);
      expect(run.requests).toEqual(estimate.requests.most);
      renewals += run.requests['put-retention'] ?? 0;
    }
    expect(renewals).toBeGreaterThan(12);
  }, 120_000);

  it('tells of small files in how many bundles they go, at most', async () => {
    const machine = machineWith({ bundleBelow: 1000 });
    for (let file = 0; file < 9000; file++) machine.write(`${file % 10}/${file}`, noise(file, 100));
    machine.write('long', noise(9000, BLOCK));
    const { run, estimate } = await both(machine);
    expect(estimate.bundles).toEqual({ objects: 2, files: 9000 });
    expect(estimate.stored.objects).toBe(3);
    expectWithin(run.requests, estimate.requests.least, estimate.requests.most);
    expect(run.stored.objects).toBeGreaterThan(1);
  }, 60_000);

  it('does not run snapshotters, and says how many there are and what they wrote last', async () => {
    const machine = machineWith({}, { classes: { weekly: 56 } });
    machine.snapshotter('db', 'echo dump >&$1');
    machine.snapshotter('fails', 'exit 1');
    const first = await both(machine);
    expect(first.estimate.snapshots).toEqual({ programs: 2, lastBytes: 0 });
    expectWithin(first.run.requests, first.estimate.requests.least, first.estimate.requests.most);
    const again = await both(machine);
    expect(again.estimate.snapshots).toEqual({ programs: 2, lastBytes: 5 });
    expectWithin(again.run.requests, again.estimate.requests.least, again.estimate.requests.most);
  });

  it('asks one LIST for what others may have stored, and counts their content as neither new nor stored', async () => {
    const machine = machineWith();
    for (let file = 0; file < 10; file++) machine.write(`${file}`, noise(file, 1000));
    await counted(machine);
    rmSync(machine.statePath, { recursive: true });
    const { dry, run, estimate } = await both(machine);
    expect(dry.requests.list).toBe((estimate.requests.least.list ?? 0) + 1);
    expect(run.stored.objects).toBe(0);
    expect(run.requests['put-retention']).toBe(10);
    expect(estimate.requests.most['put-retention']).toBe(10);
    expectWithin(run.requests, estimate.requests.least, estimate.requests.most);
  });

  it('costs as much as the run where all is new', async () => {
    const s3: Settings['destination'] = {
      kind: 's3',
      s3: {
        bucket: 'bucket',
        prefix: '',
        storageClass: 'STANDARD_IA',
        forcePathStyle: false,
        requireObjectLock: true,
        aws: {},
        cloudFormation: { export: '' },
      },
    };
    const machine = machineWith({}, { destination: s3 });
    for (let file = 0; file < 20; file++) machine.write(`${file}`, noise(file, 1000));
    const { dry, run } = await both(machine);
    expect(run.price).toEqual({ amazon: true, requests: expect.any(Number), month: expect.any(Number) });
    expect(dry.price).toEqual(run.price);
    // 20 PUT to STANDARD_IA, 1 to STANDARD, LIST and one GET.
    const lists = run.requests.list ?? 0;
    expect(run.price?.requests).toBeCloseTo((20 * 0.01 + 0.005 + lists * 0.005 + 0.001) / 1000, 9);

    machine.settings = { ...machine.settings, destination: { kind: 'directory', path: '/nowhere' } };
    const inDirectory = await both(machine);
    expect(inDirectory.run).not.toHaveProperty('price');
    expect(inDirectory.dry.price?.amazon).toBe(false);
  });
});
