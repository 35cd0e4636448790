import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CountingStore } from '#src/store/counting.js';
import { listAll } from '#src/store/port.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { stoppingAfter } from '../../kit/stopping-store.js';
import { restoreTree, treeOf } from '../../kit/trees.js';

const DAY_MS = 86_400_000;
const DAYS_RETAINED = 14;

/** A machine with files of each kind, a snapshotter, and a class to extend all of it for. */
function busyMachine(): BackupMachine {
  const machine = new BackupMachine();
  machine.settings = { ...machine.settings, classes: { weekly: 56 } };
  for (let index = 0; index < 2; index++) machine.write(`file-${index}`, randomBytes(400));
  machine.write('blocks', randomBytes(100_000));
  machine.snapshotter('dump', 'echo dumped >&$1');
  return machine;
}

/** Every version in the store, all locked as a run of its time of receipt promises. */
async function expectAllLocked(machine: BackupMachine): Promise<void> {
  for await (const { key, version, received } of listAll(machine.memory, { prefix: '' })) {
    const lock = await machine.memory.getRetention(key, version);
    expect(lock?.mode, key).toBe('GOVERNANCE');
    expect(lock?.until, key).toBeGreaterThanOrEqual(received / 1000 + DAYS_RETAINED * 86_400 - 1);
  }
}

describe('a run that is cut off between any two requests', () => {
  it.each([
    ['before the effect of the last', false],
    ['after the effect of the last', true],
  ])(
    '%s leaves nothing unlocked, and the next one brings all of it into a manifest',
    async (_, effective) => {
      let cutOff = 0;
      for (let last = 1; ; last++) {
        const machine = busyMachine();
        const stopped = await machine.archive({ store: stoppingAfter(machine.memory, last, effective) }).then(
          () => false,
          () => true,
        );
        await expectAllLocked(machine);
        const next = await machine.archive();
        expect(next.summary.outcome).toBe('complete');
        await expectAllLocked(machine);
        const { tree } = await restoreTree(machine.memory, machine.tree, next.summary.run);
        expect(tree).toEqual(treeOf(machine.tree));
        if (!stopped) break;
        cutOff++;
      }
      // Capabilities, a question and a PUT for each of 4 blocks, the snapshot, 5 extensions, the manifest.
      expect(cutOff).toBeGreaterThan(14);
    },
  );

  it('while it renews leaves no lock shorter than it was, and the next one renews the rest', async () => {
    for (let last = 1; ; last++) {
      const machine = busyMachine();
      machine.settings = { ...machine.settings, classes: {} };
      await machine.archive();
      machine.now += 9 * DAY_MS;
      const before = new Map<string, number>();
      for await (const { key, version } of listAll(machine.memory, { prefix: 'content/' }))
        before.set(version, (await machine.memory.getRetention(key, version))?.until ?? 0);
      const stopped = await machine.archive({ store: stoppingAfter(machine.memory, last, true) }).then(
        () => false,
        () => true,
      );
      const { summary } = await machine.archive();
      const needed = Math.ceil(machine.now / 1000) + DAYS_RETAINED * 86_400;
      for await (const { key, version } of listAll(machine.memory, { prefix: 'content/' })) {
        const until = (await machine.memory.getRetention(key, version))?.until;
        expect(until).toBeGreaterThanOrEqual(Math.max(needed, before.get(version) ?? 0));
      }
      expect(summary.outcome).toBe('complete');
      expect(await listedKeys(machine)).toHaveLength(before.size);
      if (!stopped) break;
      expect(last).toBeLessThan(100);
    }
  });
});

describe('a limit of requests (--max-requests)', () => {
  it('is never exceeded; a run that reaches it leaves no manifest, exits with 1, and loses nothing', async () => {
    const machine = busyMachine();
    for (let index = 0; index < 9; index++) machine.write(`more-${index}`, randomBytes(400));
    const limit = 11;
    let stops = 0;
    for (; ; stops++) {
      const store = new CountingStore(machine.memory, { maxRequests: limit });
      const failure = await machine.archive({ store }).then(
        () => undefined,
        (error: unknown) => error,
      );
      const sent = Object.values(store.requests).reduce((sum, count) => sum + count, 0);
      expect(sent).toBeLessThanOrEqual(limit);
      if (failure === undefined) break;
      expect(failure).toMatchObject({ code: 'LIMIT', exitCode: 1 });
      expect(sent).toBe(limit);
      expect((await machine.memory.list({ prefix: 'manifests/' })).versions).toEqual([]);
      expect(stops).toBeLessThan(10);
    }
    expect(stops).toBeGreaterThan(1);
    // Each content was sent once over all those runs.
    const keys = await listedKeys(machine);
    expect(new Set(keys).size).toBe(keys.length);
    const { tree } = await restoreTree(machine.memory, machine.tree);
    expect(tree).toEqual(treeOf(machine.tree));
  });
});

async function listedKeys(machine: BackupMachine): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(machine.memory, { prefix: 'content/' })) keys.push(key);
  return keys;
}
