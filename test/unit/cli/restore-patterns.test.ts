import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonLines, Machine, run } from './command.js';

/** Directories whose names mean something else as a glob, and names that these globs would match. */
const NAMES = [
  'P(x)',
  'Px',
  'a{1,2}',
  'a1',
  'one|two',
  'one',
  'n[1]',
  'n1',
  'q?',
  'qa',
  '+(y)',
  'y',
  'back\\slash',
  'plain',
];

async function archived() {
  const machine = new Machine();
  machine.pickData();
  for (const name of NAMES) {
    mkdirSync(join(machine.data, name));
    writeFileSync(join(machine.data, name, 'file'), name);
  }
  expect((await machine.archive()).code).toBe(0);
  let restores = 0;
  const restore = async (...args: string[]) => {
    restores += 1;
    const target = join(machine.folder, `back-${restores}`);
    const ended = await run([
      'restore',
      '--conf-dir',
      machine.confDir,
      '--target',
      target,
      '--log-level',
      'warning',
      ...args,
    ]);
    const back = NAMES.filter((name) => existsSync(join(target, machine.data, name, 'file')));
    return { ...ended, back };
  };
  return { machine, restore };
}

describe('restore --include and --exclude', () => {
  it('take a pattern literally, and only so, where it is a path of the run or a directory above one', async () => {
    const { machine, restore } = await archived();
    for (const name of NAMES.filter((_, index) => index % 2 === 0)) {
      const anchored = await restore('--include', join(machine.data, name));
      expect([anchored.code, anchored.back, anchored.stderr]).toEqual([0, [name], '']);
      const file = await restore('--include', `${name}/file`, '--exclude', 'nothing(like)this');
      expect([file.code, file.back]).toEqual([0, [name]]);
      const without = await restore('--exclude', `${name}/`);
      expect([without.code, without.back]).toEqual([0, NAMES.filter((other) => other !== name)]);
    }
  });

  it('still take as a glob what is no path of the run', async () => {
    const { machine, restore } = await archived();
    expect((await restore('--include', join(machine.data, '{Px,y}'))).back).toEqual(['Px', 'y']);
    expect((await restore('--include', 'n*')).back).toEqual(['n[1]', 'n1']);
    expect((await restore('--include', `${machine.data}/P\\(x\\)`)).back).toEqual(['P(x)']);
  });

  it('warn of each pattern that matched nothing, with the nearest paths', async () => {
    const { machine, restore } = await archived();
    const some = await restore('--include', '/nowhere/at/all', '--include', join(machine.data, 'plan'));
    expect(some.code).toBe(1);
    const plan = join(machine.data, 'plan/file');
    const both = await restore('--include', 'y', '--include', plan, '--exclude', '*.secret');
    expect([both.code, both.back]).toEqual([0, ['y']]);
    const [include = '', exclude = '', ...more] = both.stderr.trimEnd().split('\n');
    expect(include).toContain(
      `warning: --include ${plan} matches no path of this run. The nearest paths are `,
    );
    expect(include).toContain(` ${machine.data}/plain, `);
    expect(exclude).toMatch(/^warning: --exclude \*\.secret matches no path of this run/);
    expect(more).toEqual([]);
  });

  it('name them in --json', async () => {
    const { machine, restore } = await archived();
    const { stdout } = await restore('--include', 'y', '--include', '/etc/nothing', '--json');
    expect(jsonLines(stdout).at(-1)).toMatchObject({
      type: 'summary',
      unmatched: [{ option: 'include', pattern: '/etc/nothing' }],
    });
    const tar = join(machine.folder, 'a.tar');
    const { stderr } = await run([
      'restore',
      '--conf-dir',
      machine.confDir,
      '--to-tar',
      tar,
      '--include',
      'y',
      '--exclude',
      'zz',
    ]);
    expect(stderr).toContain('--exclude zz matches no path');
  });
});
