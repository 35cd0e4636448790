import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expire } from '#src/audit/expire.js';
import { verify } from '#src/audit/verify.js';
import { openDirectoryStore } from '#src/store/directory.js';
import type { ObjectStore } from '#src/store/port.js';
import { StoreClock } from '#src/store/store-clock.js';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';

const DAY = 86_400_000;
const FILES = 60;

/** A machine whose store is what the clock says it was: so that locks have ended when the next run begins. */
async function archiveAt(machine: BackupMachine, path: string, now: number): Promise<RunResult> {
  const clock = new StoreClock();
  clock.heard(now);
  const store: ObjectStore = await openDirectoryStore({ path, create: true, clock });
  try {
    return await machine.archive({ store });
  } finally {
    await store.close();
  }
}

function write(machine: BackupMachine, text: string): void {
  for (let file = 0; file < FILES; file++) machine.write(`file${file}`, `${text} ${file}`);
}

describe('archive beside expire', () => {
  // What comes back is known to the machine and its lock has ended, so that one extends it and the other removes it.
  it.each([
    ['objects of their own', 0, 4],
    ['bundles', 4096, 2],
  ])('has content that comes back, whichever is first (%s)', async (_, bundleBelow, rounds) => {
    for (let round = 0; round < rounds; round++) {
      const machine = new BackupMachine();
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow } };
      const path = join(machine.folder, 'store');
      const now = Date.now();
      write(machine, 'first');
      await archiveAt(machine, path, now - 60 * DAY);
      write(machine, 'second');
      await archiveAt(machine, path, now - 30 * DAY);
      write(machine, 'first');
      const archived = archiveAt(machine, path, now);
      // Begun at another moment of the run in each round.
      for (let turn = 0; turn < round * 60; turn++) await new Promise((resolve) => setImmediate(resolve));
      const [{ summary, problems }, expired] = await Promise.all([archived, expire({ path })]);
      expect(summary.outcome).toBe('complete');
      expect(problems).toEqual([]);
      expect(summary.counts.f).toBe(FILES);
      // Each content of its own was extended, or removed and stored again.
      expect(summary.renewed + expired.removed).toBeGreaterThanOrEqual(bundleBelow === 0 ? FILES : 0);
      const store = await openDirectoryStore({ path });
      onTestFinished(() => store.close());
      const verified = await verify({ store, readData: 100, spoolFolder: machine.folder });
      expect(verified.counts).toMatchObject({ missing: 0, damaged: 0, manifest: 0 });
    }
  });
});
