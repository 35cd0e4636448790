import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expire } from '#src/audit/expire.js';
import type { ExpireOptions } from '#src/audit/expire-options.js';
import { renew } from '#src/audit/renew.js';
import { verify } from '#src/audit/verify.js';
import type { SysbackupEvent } from '#src/events.js';
import { listRuns } from '#src/manifest/runs.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { StoreClock } from '#src/store/store-clock.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BackupMachine } from '../../kit/backup-machine.js';
import { changeSidecar } from '../../kit/change-sidecar.js';
import { run } from '../cli/command.js';

const DAY_MS = 86_400_000;
const YEARS_MS = 3650 * DAY_MS;

interface Scene {
  machine: BackupMachine;
  path: string;
  /** One run, stored while the store's clock is so far from the true time. Returns its id. */
  runAt(offMs: number): Promise<string>;
  /** The locks of all versions end. */
  lapse(): void;
  runs(): Promise<string[]>;
}

async function sceneWith(files: number): Promise<Scene> {
  const machine = new BackupMachine();
  machine.settings = { ...machine.settings, programs: { timeout: undefined, allowEmpty: ['tree'] } };
  const path = join(machine.folder, 'store');
  writeFiles(machine, files);
  const runAt = async (offMs: number): Promise<string> => {
    const clock = new StoreClock();
    clock.heard(Date.now() + offMs);
    const store = await openDirectoryStore({ path, create: true, clock });
    try {
      const { summary } = await machine.archive({ store });
      expect(summary.outcome).toBe('complete');
      return summary.run;
    } finally {
      await store.close();
    }
  };
  const lapse = (): void => {
    const folder = join(path, 'retention');
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.json')) continue;
      const retention = { mode: 'GOVERNANCE', until: Math.floor(Date.now() / 1000) - 60 };
      changeSidecar(join(folder, name), () => ({ retention }));
    }
  };
  const runs = async (): Promise<string[]> => {
    const store = await openDirectoryStore({ path });
    onTestFinished(() => store.close());
    return (await listRuns(store)).map(({ run }) => run);
  };
  return { machine, path, runAt, lapse, runs };
}

/** So many files with contents of their own; all others go. */
function writeFiles(machine: BackupMachine, count: number): void {
  rmSync(join(machine.tree, 'f'), { recursive: true, force: true });
  for (let file = 0; file < count; file++) machine.write(`f/${file}`, `content of ${file}`);
}

async function warned(options: ExpireOptions): Promise<string[]> {
  const warnings: string[] = [];
  const onEvent = (event: SysbackupEvent) => event.type === 'log' && warnings.push(event.message);
  await expire({ ...options, onEvent });
  return warnings;
}

async function expectWhole({ machine, path }: Scene): Promise<void> {
  const store = await openDirectoryStore({ path });
  onTestFinished(() => store.close());
  const { counts } = await verify({ store, readData: 100, spoolFolder: machine.folder });
  expect(counts).toMatchObject({ missing: 0, damaged: 0, manifest: 0 });
}

describe('expire, with a clock that was ahead', () => {
  it('keeps the run that is ahead and the newest that is not, with all they name', async () => {
    const scene = await sceneWith(3);
    await scene.runAt(-20 * DAY_MS);
    const ahead = await scene.runAt(YEARS_MS);
    scene.machine.write('f/0', 'changed');
    const newest = await scene.runAt(-DAY_MS);
    scene.lapse();
    expect(await warned({ path: scene.path, dryRun: true })).toEqual([expect.stringContaining(ahead)]);
    expect(await expire({ path: scene.path })).toMatchObject({
      runsRemoved: 1,
      runsKept: 2,
      keptRuns: [
        { run: newest, reasons: ['newest', 'last-good'], letGoBy: undefined },
        { run: ahead, reasons: ['ahead'], letGoBy: undefined },
      ],
    });
    expect(await scene.runs()).toEqual([newest, ahead]);
    await expectWhole(scene);
  });

  it('removes nothing where all runs are ahead, with the code of a guard', async () => {
    const scene = await sceneWith(3);
    const runs = [await scene.runAt(YEARS_MS), await scene.runAt(YEARS_MS + DAY_MS)];
    scene.lapse();
    for (const more of [{}, { dryRun: true }, { keepNewest: false }])
      await expect(expire({ path: scene.path, ...more })).rejects.toMatchObject({ code: 'REFUSED' });
    const ended = await run(['expire', '--directory', scene.path, '--last-too']);
    expect(ended).toMatchObject({ code: 14, stdout: '' });
    expect(ended.stderr).toContain('hint: Set the clock');
    expect(await scene.runs()).toEqual(runs);
    await expectWhole(scene);
  });
});

describe('expire', () => {
  it('keeps what renew calls last-good and newest, until the smaller run is accepted', async () => {
    const scene = await sceneWith(20);
    const large = await scene.runAt(-3 * DAY_MS);
    writeFiles(scene.machine, 5);
    await scene.runAt(-2 * DAY_MS);
    const small = await scene.runAt(-DAY_MS);
    scene.lapse();
    const store = await openDirectoryStore({ path: scene.path });
    onTestFinished(() => store.close());
    const { machines } = await renew({ store, spoolFolder: scene.machine.folder, daysRetained: 1 });
    expect(machines).toMatchObject([{ lastGood: large, newest: small, shrunk: true }]);
    scene.lapse();

    const name = `test-backup/${small}`;
    expect(await expire({ path: scene.path })).toMatchObject({
      runsRemoved: 1,
      keptRuns: [
        { run: large, reasons: ['last-good'], letGoBy: name },
        { run: small, reasons: ['newest'], letGoBy: undefined },
      ],
    });
    expect(await scene.runs()).toEqual([large, small]);
    await expectWhole(scene);

    // What the summary says to type is what works.
    const said = (await run(['expire', '--directory', scene.path])).stdout;
    const [, option = '', accepted = ''] = /(--accept) (\S+)$/m.exec(said) ?? [];
    const ended = await run(['expire', '--directory', scene.path, option, accepted]);
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^removed 1 manifests/) });
    expect(await scene.runs()).toEqual([small]);
    await expectWhole(scene);
    const [, last = ''] = /it go with (--\S+)$/m.exec(ended.stdout) ?? [];
    expect((await run(['expire', '--directory', scene.path, last])).code).toBe(0);
    expect(await scene.runs()).toEqual([]);
  });

  it('keeps nothing of a machine that was set up again, where the new one holds half as much', async () => {
    const scene = await sceneWith(20);
    const old = await scene.runAt(-3 * DAY_MS);
    // Another machine id, and no catalog.
    rmSync(scene.machine.statePath, { recursive: true });
    const ids = join(scene.machine.folder, 'machine-id');
    writeFileSync(ids, `${'ab'.repeat(16)}\n`);
    const archive = scene.machine.archive.bind(scene.machine);
    scene.machine.archive = (options) => archive({ ...options, systemIdPath: ids });
    writeFiles(scene.machine, 10);
    const fresh = await scene.runAt(-DAY_MS);
    expect(fresh.slice(17, 21)).not.toBe(old.slice(17, 21));
    scene.lapse();
    expect(await expire({ path: scene.path })).toMatchObject({ runsRemoved: 1, keptRuns: [{ run: fresh }] });
    expect(await scene.runs()).toEqual([fresh]);
    await expectWhole(scene);
  });

  it('says nothing of runs that are locked anyway', async () => {
    const scene = await sceneWith(4);
    await scene.runAt(-DAY_MS);
    await scene.runAt(0);
    expect(await expire({ path: scene.path })).toMatchObject({ runsKept: 2, runsRemoved: 0, keptRuns: [] });
  });

  it('takes an empty run for none, and removes nothing where the newest cannot be read', async () => {
    const scene = await sceneWith(4);
    const good = await scene.runAt(-2 * DAY_MS);
    writeFiles(scene.machine, 0);
    await scene.runAt(-DAY_MS);
    scene.lapse();
    expect(await expire({ path: scene.path, dryRun: true })).toMatchObject({ keptRuns: [{ run: good }] });
    writeFiles(scene.machine, 4);
    const damaged = await scene.runAt(0);
    scene.lapse();
    const before = await scene.runs();
    const manifest = join(scene.path, `manifests/test-backup/${damaged}.complete.jsonl.gz`);
    chmodSync(manifest, 0o644);
    writeFileSync(manifest, 'no manifest');
    await expect(expire({ path: scene.path })).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining(damaged),
    });
    expect(await scene.runs()).toEqual(before);
  });

  it('says which of those that were accepted are no runs', async () => {
    const scene = await sceneWith(2);
    await scene.runAt(-DAY_MS);
    const accepted = ['test-backup/20200101T000000Z-abcd0001'];
    expect(await warned({ path: scene.path, accepted })).toEqual([
      expect.stringContaining(accepted[0] ?? ''),
    ]);
  });
});
