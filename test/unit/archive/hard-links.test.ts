import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '#src/events.js';
import type { FileEntry } from '#src/manifest/types.js';
import { restore } from '#src/restore/restore.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, pastTheTick, type RunResult } from '../../kit/backup-machine.js';

/** A run during which something happens after all was picked, and before anything is read. */
async function archiveWhile(machine: BackupMachine, happens: () => void): Promise<RunResult> {
  const problems: Problem[] = [];
  const run = await machine.archive({
    onEvent: (event) => {
      if (event.type === 'phase' && event.phase === 'content') happens();
      if (event.type === 'problem') problems.push(event.problem);
    },
  });
  return { ...run, problems };
}

async function restoredTree(machine: BackupMachine, { summary }: RunResult): Promise<string> {
  const run = summary.manifest ?? { key: '', version: '' };
  const target = join(machine.folder, `target-${summary.run}`);
  const done = await restore({ store: machine.store, run, target, spoolFolder: machine.folder });
  expect(done).toMatchObject({ failed: 0, problemCounts: { failure: 0 } });
  return join(target, machine.tree);
}

function inodeOf(folder: string, name: string): number {
  return lstatSync(join(folder, name)).ino;
}

async function filesOf(machine: BackupMachine, { summary }: RunResult): Promise<Map<string, FileEntry>> {
  const entries = await machine.entries(summary);
  return new Map([...entries].filter((entry): entry is [string, FileEntry] => entry[1].typ === 'f'));
}

describe('a file with several names', () => {
  it('of which the first is removed before it is read is backed up by the others', async () => {
    const machine = new BackupMachine();
    const first = machine.write('a', 'precious');
    for (const name of ['b', 'c']) linkSync(first, join(machine.tree, name));
    const run = await archiveWhile(machine, () => rmSync(first));
    expect(run.summary).toMatchObject({ outcome: 'complete', counts: { f: 2, problems: 0, notes: 1 } });
    expect(run.problems).toMatchObject([{ code: 'vanished', path: first }]);
    const back = await restoredTree(machine, run);
    expect(readFileSync(join(back, 'b'), 'utf8')).toBe('precious');
    expect(inodeOf(back, 'c')).toBe(inodeOf(back, 'b'));
  });

  it('of which the first is replaced before it is read keeps its content under the others', async () => {
    const machine = new BackupMachine();
    const first = machine.write('a', 'the old one');
    for (const name of ['b', 'c']) linkSync(first, join(machine.tree, name));
    const run = await archiveWhile(machine, () => {
      writeFileSync(join(machine.folder, 'new'), 'the new one');
      renameSync(join(machine.folder, 'new'), first);
    });
    const back = await restoredTree(machine, run);
    expect(readFileSync(join(back, 'a'), 'utf8')).toBe('the new one');
    expect(readFileSync(join(back, 'b'), 'utf8')).toBe('the old one');
    expect(inodeOf(back, 'c')).toBe(inodeOf(back, 'b'));
    expect(inodeOf(back, 'a')).not.toBe(inodeOf(back, 'b'));
  });

  it('that are all removed, and one of which is another file then, brings that', async () => {
    const machine = new BackupMachine();
    const first = machine.write('a', 'gone for ever');
    const second = join(machine.tree, 'b');
    linkSync(first, second);
    const run = await archiveWhile(machine, () => {
      rmSync(first);
      rmSync(second);
      writeFileSync(second, 'new, and perhaps of the same inode');
    });
    expect([...(await filesOf(machine, run)).keys()]).toEqual(['b']);
    const back = await restoredTree(machine, run);
    expect(readFileSync(join(back, 'b'), 'utf8')).toBe('new, and perhaps of the same inode');
  });

  it('is not lost where `cp -al` rotates its names before it is read', async () => {
    const machine = new BackupMachine();
    const names = ['1', '2', '3', '4', '5'];
    const at = (day: number) => join(machine.tree, `day-${day}`);
    for (const name of names) machine.write(`day-1/${name}`, `content of ${name}`);
    for (const day of [2, 3]) execFileSync('cp', ['-al', at(1), at(day)]);
    const run = await archiveWhile(machine, () => {
      rmSync(at(1), { recursive: true });
      execFileSync('cp', ['-al', at(3), at(4)]);
      // As rsync does it.
      writeFileSync(join(at(3), 'new'), 'newer');
      renameSync(join(at(3), 'new'), join(at(3), '5'));
    });
    expect(run.summary.outcome).toBe('complete');
    expect(new Set(run.problems.map(({ code, path }) => `${code} ${path}`))).toEqual(
      new Set([at(1), ...names.map((name) => join(at(1), name))].map((path) => `vanished ${path}`)),
    );
    const back = await restoredTree(machine, run);
    for (const name of names) {
      expect(readFileSync(join(back, 'day-2', name), 'utf8')).toBe(`content of ${name}`);
      const third = name === '5' ? 'newer' : `content of ${name}`;
      expect(readFileSync(join(back, 'day-3', name), 'utf8')).toBe(third);
      expect(inodeOf(back, `day-2/${name}`) === inodeOf(back, `day-3/${name}`)).toBe(name !== '5');
    }
  });

  it('is read once for all names where it was changed after they were picked', async () => {
    const machine = new BackupMachine();
    const first = machine.write('a', 'before');
    linkSync(first, join(machine.tree, 'b'));
    const run = await archiveWhile(machine, () => appendFileSync(first, ' and after'));
    expect(run.summary.read.files).toBe(1);
    const back = await restoredTree(machine, run);
    expect(readFileSync(join(back, 'b'), 'utf8')).toBe('before and after');
    expect(inodeOf(back, 'a')).toBe(inodeOf(back, 'b'));
  });

  it('comes back as one file where different pickers bring its names', async () => {
    const machine = new BackupMachine();
    const first = machine.write('a', 'content');
    linkSync(first, join(machine.tree, 'z'));
    machine.picker('tree', `echo '${machine.tree}/z'`);
    machine.picker('zz-other', `echo '${machine.tree}/a'`);
    const back = await restoredTree(machine, await machine.archive());
    expect(inodeOf(back, 'a')).toBe(inodeOf(back, 'z'));
  });

  it.each([
    ['was not picked before', false],
    ['was made since', true],
  ])('comes back as one file with a name that %s', async (_what, isNew) => {
    const machine = new BackupMachine();
    const first = machine.write('a/known', 'content');
    symlinkSync('nowhere', join(machine.tree, 'a/link'));
    mkdirSync(join(machine.tree, 'b'));
    const names = ['known', 'link'] as const;
    const link = () => {
      linkSync(first, join(machine.tree, 'b/known'));
      linkSync(join(machine.tree, 'a/link'), join(machine.tree, 'b/link'));
    };
    if (!isNew) link();
    await pastTheTick();
    machine.picker('tree', `find '${machine.tree}/a' -print0`);
    await machine.archive();
    if (isNew) link();
    await pastTheTick();
    machine.picker('tree', `find '${machine.tree}' -print0`);
    const run = await machine.archive();
    const entries = await machine.entries(run.summary);
    for (const name of names) {
      const ids = [entries.get(`a/${name}`), entries.get(`b/${name}`)].map((entry) =>
        entry?.typ === 'd' ? 'a folder' : entry?.id,
      );
      expect(ids[0]).toEqual(expect.any(String));
      expect(ids[1]).toBe(ids[0]);
    }
    const back = await restoredTree(machine, run);
    for (const name of names) expect(inodeOf(back, `a/${name}`)).toBe(inodeOf(back, `b/${name}`));
  });
});
