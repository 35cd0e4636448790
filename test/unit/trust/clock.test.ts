import { afterEach, describe, expect, it, vi } from 'vitest';
import { listAll } from '#src/store/port.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { restoreTree, treeOf } from '../../kit/trees.js';

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

describe("a machine's clock", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** The locks, relative to the store's time, of three runs: one each four days. */
  async function locksWith(clock: ((storeMs: number) => number) | undefined): Promise<number[]> {
    const machine = new BackupMachine();
    for (const name of ['one', 'two', 'three']) machine.write(name, Buffer.alloc(400, name));
    const began = machine.now;
    for (let run = 0; run < 3; run++) {
      if (clock !== undefined) vi.useFakeTimers({ toFake: ['Date'], now: clock(machine.now) });
      const { summary, warnings } = await machine.archive();
      vi.useRealTimers();
      expect(summary.outcome).toBe('complete');
      if (clock !== undefined) expect(warnings.join()).toContain("this machine's clock");
      machine.now += 4 * DAY_MS;
    }
    expect((await restoreTree(machine.memory, machine.tree)).tree).toEqual(treeOf(machine.tree));
    const locks: number[] = [];
    for await (const { key, version } of listAll(machine.memory, { prefix: 'content/' })) {
      const lock = await machine.memory.getRetention(key, version);
      locks.push((lock?.until ?? 0) - Math.ceil(began / 1000));
    }
    return locks;
  }

  it('that is wrong by years changes no lock', async () => {
    const right = await locksWith(undefined);
    expect(right).toHaveLength(3);
    for (const lock of right) expect(lock).toBeGreaterThan(14 * 86_400);
    expect(await locksWith((storeMs) => storeMs - 5 * YEAR_MS)).toEqual(right);
    expect(await locksWith((storeMs) => storeMs + 30 * YEAR_MS)).toEqual(right);
  });

  it('that jumps between runs changes no lock', async () => {
    const right = await locksWith(undefined);
    let years = 40;
    expect(await locksWith((storeMs) => storeMs + (years -= 25) * YEAR_MS)).toEqual(right);
  });
});
