import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasFlockProgram, holdLock } from '../content/hold-lock.js';
import { type Ended, jsonLines, Machine, run } from './command.js';

/** A machine on which another program holds the lock of a file while it is backed up. */
async function withLockedFile(): Promise<{ machine: Machine; path: string; conf: string[]; ended: Ended }> {
  const machine = new Machine('[content]\nlock_timeout = 0\n');
  machine.pickData();
  const path = join(machine.data, 'database');
  writeFileSync(path, 'in the middle of a change');
  writeFileSync(join(machine.data, 'free'), 'nobody holds this');
  const holder = await holdLock(path);
  const ended = await machine.archive().finally(() => holder.release());
  return { machine, path, conf: ['--conf-dir', machine.confDir], ended };
}

describe.skipIf(!hasFlockProgram)(
  'a copy made without the lock that another program held (needs flock)',
  () => {
    it('is named by archive, counted in its summary, and made again by the next run, as long as it is held', async () => {
      const { machine, path, ended } = await withLockedFile();
      expect(ended.code).toBe(0);
      expect(ended.stderr).toContain(`${path}: was copied without its lock`);
      expect(ended.stdout).toMatch(/^ {2}doubtful +1 file copied without its lock$/m);
      const holder = await holdLock(path);
      const second = await machine.archive('--json').finally(() => holder.release());
      const lines = jsonLines(second.stdout);
      expect(lines.find(({ type }) => type === 'problem')).toMatchObject({
        severity: 'note',
        code: 'unlocked-copy',
        path,
      });
      expect(lines.at(-1)).toMatchObject({
        read: { files: 1 },
        warnings: { 'unlocked-copy': 1, 'changed-while-reading': 0 },
      });
      const third = jsonLines((await machine.archive('--json')).stdout).at(-1);
      expect(third).toMatchObject({
        read: { files: 1 },
        counts: { problems: 0 },
        warnings: { 'unlocked-copy': 0, 'changed-while-reading': 0 },
      });
    });

    it('has a mark in ls, and only it', async () => {
      const { path, machine, conf } = await withLockedFile();
      const lines = (await run(['ls', 'latest', machine.data, ...conf])).stdout.trimEnd().split('\n');
      expect(lines.filter((line) => line.slice(0, 12).includes('!'))).toEqual([
        expect.stringMatching(new RegExp(`^-rw-[-rw]{6}! .* ${path}$`)),
      ]);
    });

    it('has a line in restore, to a folder or as a tar, dry or not, and a warning in cat', async () => {
      const { machine, path, conf } = await withLockedFile();
      const target = join(machine.folder, 'back');
      const ways = [
        ['--target', target, '--dry-run'],
        ['--target', target],
        ['--to-tar', join(machine.folder, 'back.tar')],
      ];
      for (const way of ways) {
        const { code, stdout, stderr } = await run(['restore', ...conf, ...way]);
        expect(code).toBe(0);
        expect(stdout).toMatch(/^ {2}doubtful +in the backup: 1 file copied without its lock$/m);
        expect(stderr).toContain(`${path}: was backed up without its lock`);
      }
      const json = jsonLines((await run(['restore', ...conf, '--target', target, '--json'])).stdout).at(-1);
      expect(json).toMatchObject({ warnings: { 'unlocked-copy': 1, 'changed-while-reading': 0 } });
      const others = await run([
        'restore',
        ...conf,
        '--target',
        target,
        '--include',
        join(machine.data, 'free'),
      ]);
      expect(others.stdout).not.toContain('doubtful');
      const cat = await run(['cat', 'latest', path, ...conf]);
      expect(cat).toMatchObject({ code: 0, stdout: 'in the middle of a change' });
      expect(cat.stderr).toContain(`the copy of ${path} may be torn`);
    });
  },
);
