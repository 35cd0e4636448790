import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { restore } from '#src/restore/restore.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine } from '../../kit/backup-machine.js';

const DAY = 86_400_000;

describe('who has the machine’s rights', () => {
  it('can make a whole false run under its name, and an earlier one is restored by its id', async () => {
    const machine = new BackupMachine();
    machine.write('file', 'what was there');
    const good = await machine.archive();
    machine.now += DAY;
    machine.write('file', 'what the thief says');
    const systemIdPath = join(machine.folder, 'other-machine-id');
    writeFileSync(systemIdPath, 'another machine\n');
    const statePath = join(machine.folder, 'state-of-the-thief');
    const bad = await machine.archive({ settings: { ...machine.settings, statePath }, systemIdPath });
    const warnings: string[] = [];
    const newest = await resolveRun(machine.store, 'test-backup', {
      onEvent: (event) => event.type === 'log' && warnings.push(event.message),
    });
    expect(newest.run).toBe(bad.summary.run);
    expect(warnings.join()).toContain('another machine');
    const run = await resolveRun(machine.store, good.summary.run);
    const target = join(machine.folder, 'target');
    const { failed } = await restore({ store: machine.store, run, target, spoolFolder: machine.folder });
    expect(failed).toBe(0);
    expect(readFileSync(join(target, machine.tree, 'file'), 'utf8')).toBe('what was there');
  });

  it('can store what he likes and lock it for a century, where no policy bounds that', async () => {
    const { memory, now } = new BackupMachine();
    const until = Math.ceil(now / 1000) + 100 * 366 * 86_400;
    const { version } = memory.putForeign({
      key: `content/${'0'.repeat(64)}`,
      bytes: Buffer.alloc(1000),
      retention: { mode: 'COMPLIANCE', until },
    });
    expect(() =>
      memory.deleteVersion(`content/${'0'.repeat(64)}`, version, { bypassGovernance: true }),
    ).toThrow();
  });
});
