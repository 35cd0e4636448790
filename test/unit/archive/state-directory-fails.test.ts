import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ObjectStore } from '#src/store/port.js';
import { BackupMachine, pastTheTick, type RunResult } from '../../kit/backup-machine.js';
import { failFileCalls, type FileCall } from '../../kit/failing-files.js';

/** Calls the function once the store has confirmed a manifest. */
function onceStored(machine: BackupMachine, stored: () => void): ObjectStore {
  const { memory } = machine;
  return new Proxy(memory, {
    get(target, name) {
      if (name !== 'put') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (request: Parameters<ObjectStore['put']>[0]) => {
        const answer = await target.put(request);
        if (request.key.startsWith('manifests/')) stored();
        return answer;
      };
    },
  });
}

/** Runs, and fails what `fails` says of the state directory from the moment on at which the manifest is stored. */
async function runAndFail(
  machine: BackupMachine,
  fails: (call: FileCall, number: number) => string | undefined,
): Promise<RunResult & { calls: FileCall[] }> {
  const calls: FileCall[] = [];
  let isStored = false;
  const restore = failFileCalls((call) => {
    if (!isStored || !call.path.startsWith(machine.statePath)) return undefined;
    calls.push(call);
    return fails(call, calls.length);
  });
  onTestFinished(restore);
  try {
    const store = onceStored(machine, () => {
      isStored = true;
    });
    return { ...(await machine.archive({ store })), calls };
  } finally {
    restore();
  }
}

/** A machine with a catalog, and something changed since. */
async function machineWithCatalog(): Promise<BackupMachine> {
  const machine = new BackupMachine();
  for (let file = 0; file < 5; file++) machine.write(`old/${file}`, `old ${file}`);
  await pastTheTick();
  await machine.archive();
  machine.write('new', 'content that came since');
  await pastTheTick();
  return machine;
}

/** What the next runs make of it: nothing is stored twice, and in the end nothing is read any more. */
async function expectToGoOn(machine: BackupMachine): Promise<void> {
  await pastTheTick();
  const next = await machine.archive();
  expect(next.summary).toMatchObject({ outcome: 'complete', stored: { objects: 0 } });
  expect(next.summary.read.files).toBeLessThanOrEqual(1);
  expect((await machine.entries(next.summary)).size).toBe(7);
  const last = await machine.archive();
  expect(last.summary).toMatchObject({ outcome: 'complete', stored: { objects: 0 }, read: { files: 0 } });
  expect(last.warnings).toEqual([]);
  // Whatever was left lying about is gone by then.
  const [folder = ''] = readdirSync(machine.statePath).filter((name) => name.startsWith('test-backup-'));
  const left = readdirSync(join(machine.statePath, folder)).filter((name) => /^(spool|\d{8}T)/.test(name));
  expect(left).toHaveLength(1);
  expect(readdirSync(join(machine.statePath, folder))).not.toContain('journal');
}

describe('once the store has confirmed the manifest', () => {
  it.each([
    { errno: 'EIO', which: 'one call', step: 1, isSticky: false },
    { errno: 'ENOSPC', which: 'all calls from one on', step: 5, isSticky: true },
  ])('$errno of $which on the state directory never fails the run', async ({ errno, step, isSticky }) => {
    const machine = await machineWithCatalog();
    for (let at = 1, count = 1; at <= count; at += step) {
      machine.write('new', `content number ${at}`);
      await pastTheTick();
      const { summary, warnings, calls } = await runAndFail(machine, (_, number) =>
        number === at || (isSticky && number > at) ? errno : undefined,
      );
      count = calls.length;
      expect(summary).toMatchObject({ outcome: 'complete', stored: { objects: 1 } });
      // Descriptors that were only read from are closed too, where nothing can be lost.
      if (calls[at - 1]?.name !== 'closeSync') expect(warnings.join('\n')).toContain(errno);
      await expectToGoOn(machine);
    }
  });

  it('says what failed and what the next run does again, which goes by the old catalog and the journal', async () => {
    const machine = await machineWithCatalog();
    const before = (await machine.archive({ dryRun: true })).summary;
    expect(before.read.files).toBe(1);
    const { warnings } = await runAndFail(machine, ({ path }) =>
      path.endsWith('/head') ? 'ENOSPC' : undefined,
    );
    expect(warnings).toEqual([
      expect.stringMatching(
        /^the run is stored, but what it knows could not be written to .*ENOSPC.*: the next one reads again what has changed since run \d{8}T\d{6}Z-[0-9a-f]{8}, and by the journal stores none of it twice$/,
      ),
    ]);
    const { summary } = await machine.archive();
    expect(summary).toMatchObject({ read: { files: 1 }, stored: { objects: 0 }, reused: 6 });
  });

  it('the first run of a machine may fail to remember, and the second finds all of it by the journal', async () => {
    const machine = new BackupMachine();
    machine.write('file', 'content');
    const { warnings } = await runAndFail(machine, ({ name }) => (name === 'renameSync' ? 'EIO' : undefined));
    expect(warnings).toEqual([expect.stringContaining('the next one reads all files again')]);
    const { summary } = await machine.archive();
    expect(summary).toMatchObject({ read: { files: 1 }, stored: { objects: 0 } });
  });

  it('an old catalog that cannot be removed stays, is told of, and goes with the next run', async () => {
    const machine = await machineWithCatalog();
    const { warnings } = await runAndFail(machine, ({ name, path }) =>
      name === 'rmSync' && /\d{8}T\d{6}Z-/.test(path) ? 'EIO' : undefined,
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^the run is stored; what is not needed any more in .*EIO/),
    ]);
    const { summary, warnings: none } = await machine.archive();
    expect(summary).toMatchObject({ read: { files: 0 }, stored: { objects: 0 } });
    expect(none).toEqual([]);
  });

  it('a broken run’s catalog that cannot be written leaves the old one too', async () => {
    const machine = await machineWithCatalog();
    machine.picker('tree', 'exit 1');
    const { summary, warnings } = await runAndFail(machine, ({ path }) =>
      path.endsWith('/objects') ? 'EIO' : undefined,
    );
    expect(summary.outcome).toBe('broken');
    expect(warnings.join('\n')).toContain('EIO');
    machine.picker('tree', `find '${machine.tree}' -print0`);
    expect((await machine.archive()).summary).toMatchObject({ outcome: 'complete', read: { files: 1 } });
  });
});

describe('before that', () => {
  it('what is left of an earlier run and cannot be removed costs a warning, and gets nowhere into this one', async () => {
    const machine = await machineWithCatalog();
    const stuck = (path: string) => /\/(spool|\d{8}T\d{6}Z-[^/]*)$/.test(path);
    await runAndFail(machine, ({ name, path }) => (name === 'rmSync' && stuck(path) ? 'EIO' : undefined));
    machine.write('newer', 'content that came later');
    const restore = failFileCalls(({ name, path }) => (name === 'rmSync' && stuck(path) ? 'EIO' : undefined));
    onTestFinished(restore);
    const { summary, warnings } = await machine.archive();
    restore();
    expect(summary.outcome).toBe('complete');
    expect(warnings.join('\n')).toContain('stays until the next run');
    expect((await machine.entries(summary)).has('newer')).toBe(true);
  });

  it('a spool that cannot be discarded hides neither the snapshot nor why a run ended', async () => {
    const machine = await machineWithCatalog();
    machine.snapshotter('dump', 'echo dump >&3');
    const isSnapshot = ({ name, path }: FileCall) => name === 'rm' && path.includes('/snapshot-');
    let restore = failFileCalls((call) => (isSnapshot(call) ? 'EIO' : undefined));
    onTestFinished(() => restore());
    const { summary, warnings } = await machine.archive();
    restore();
    expect(summary).toMatchObject({ outcome: 'complete', counts: { s: 1 } });
    expect(warnings).toEqual([expect.stringContaining('the spool of a snapshot cannot be removed')]);

    // Full while the manifest is written, and worse while it is cleaned up after.
    const spool = /manifest\.jsonl\.gz$/;
    restore = failFileCalls(({ name, path }) => {
      if (name === 'writeSync' && spool.test(path)) return 'ENOSPC';
      return name === 'rm' && spool.test(path) ? 'EIO' : undefined;
    });
    await expect(machine.archive()).rejects.toMatchObject({
      code: 'SYSTEM',
      message: expect.stringContaining('ENOSPC'),
    });
    restore();
    expect((await machine.archive()).summary.outcome).toBe('complete');
  });

  it('a journal that cannot be read is told of, and its content looked up', async () => {
    const machine = await machineWithCatalog();
    await runAndFail(machine, ({ path }) => (path.endsWith('/head') ? 'ENOSPC' : undefined));
    const restore = failFileCalls(({ name, path }) =>
      name === 'openSync' && path.endsWith('/journal') ? 'EIO' : undefined,
    );
    onTestFinished(restore);
    // It cannot be written then either.
    await expect(machine.archive()).rejects.toMatchObject({ message: expect.stringContaining('EIO') });
    restore();
    expect((await machine.archive()).summary).toMatchObject({ stored: { objects: 0 } });
  });
});
