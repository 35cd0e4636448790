import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { restoreSnapshots } from '#src/restore/snapshots.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { BackupMachine } from '../../kit/backup-machine.js';

const DUMP = '#!/bin/sh\necho dump >&3\necho said\n';

/** A snapshotter whose name is these bytes. */
function snapshotter(machine: BackupMachine, name: Buffer): void {
  const path = Buffer.concat([Buffer.from(join(machine.confDir, 'snapshots.d/')), name]);
  writeFileSync(path, DUMP, { mode: 0o755 });
}

describe('a snapshotter whose name is too long for a key or a file', () => {
  it('is a failure of its own, and all else is stored and restored: in a directory', async () => {
    const machine = new BackupMachine();
    const path = join(machine.folder, 'store');
    const store = await openDirectoryStore({ path, create: true });
    machine.store = store;
    machine.settings = { ...machine.settings, destination: { kind: 'directory', path } };
    machine.write('file', 'content');
    const longest = 'n'.repeat(191);
    for (const name of [longest, 'm'.repeat(192), 'm'.repeat(255), 'short'])
      snapshotter(machine, Buffer.from(name));
    snapshotter(machine, Buffer.alloc(40, 0xff));
    const { summary, problems } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'partial', counts: { f: 1, s: 2, problems: 3 } });
    expect(problems.map(({ code, severity }) => `${severity} ${code}`)).toEqual(
      Array(3).fill('failure snapshot-name'),
    );
    expect(problems[0]?.message).toMatch(
      /was not started: its file in the directory would have a name of 2\d\d bytes, .*217/,
    );
    const run = summary.manifest ?? expect.fail('no manifest');
    const into = join(machine.folder, 'snapshots');
    const restored = await restoreSnapshots({ store, run, into, spoolFolder: machine.folder });
    expect(restored.problems).toEqual([]);
    expect(restored.restored.map(({ name }) => name)).toEqual([longest, 'short']);
    await store.close();
  });

  it('and in a bucket, where keys have more room and a prefix takes some of it', async () => {
    const machine = new BackupMachine();
    const { settings } = machine;
    const s3 = {
      prefix: '',
      forcePathStyle: false,
      requireObjectLock: true,
      aws: {},
      cloudFormation: { export: 'x' },
    };
    const withPrefix = (prefix: string): void => {
      machine.settings = { ...settings, destination: { kind: 's3', s3: { ...s3, prefix } } };
    };
    machine.write('file', 'content');
    snapshotter(machine, Buffer.from('ü'.repeat(127)));
    snapshotter(machine, Buffer.alloc(255, 0x6e));
    withPrefix('');
    expect((await machine.archive()).summary).toMatchObject({ outcome: 'complete', counts: { s: 2 } });
    withPrefix(`${'p'.repeat(300)}/`);
    const { summary, problems } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'partial', counts: { s: 1 } });
    expect(problems).toEqual([
      expect.objectContaining({
        message: expect.stringMatching(/its key would have 1\d{3} bytes, and S3 takes 1024/),
      }),
    ]);
    // Shown as `\\xff`, its bytes take four characters each, which no file can be called.
    snapshotter(machine, Buffer.alloc(64, 0xff));
    withPrefix('');
    expect((await machine.archive()).problems).toEqual([
      expect.objectContaining({ code: 'snapshot-name', message: expect.stringContaining('256 bytes long') }),
    ]);
  });

  it('nor do two of them share one name', async () => {
    const machine = new BackupMachine();
    snapshotter(machine, Buffer.from([0xff]));
    snapshotter(machine, Buffer.from('\\xff'));
    const { summary, problems } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'partial', counts: { s: 1 } });
    expect(problems).toEqual([
      expect.objectContaining({ message: expect.stringContaining('the same name') }),
    ]);
  });
});
