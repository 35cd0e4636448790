import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { jsonLines, Machine, run } from '../unit/cli/command.js';

const TOOLS = ['mkfs.exfat', 'mount.exfat-fuse', 'losetup'];
const isThere = process.geteuid?.() === 0 && TOOLS.every((tool) => works(tool));

function works(tool: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A file system that folds case, mounted for the time of a test. */
function foldingFolder(parent: string): string {
  const [image, folder] = [join(parent, 'image'), join(parent, 'folding')];
  execFileSync('truncate', ['-s', '64M', image]);
  execFileSync('mkfs.exfat', [image], { stdio: 'ignore' });
  mkdirSync(folder);
  const device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
  execFileSync('mount.exfat-fuse', [device, folder], { stdio: 'ignore' });
  onTestFinished(() => {
    execFileSync('umount', [folder]);
    execFileSync('losetup', ['-d', device]);
  });
  writeFileSync(join(folder, 'A'), '');
  expect(existsSync(join(folder, 'a'))).toBe(true);
  rmSync(join(folder, 'A'));
  return folder;
}

describe.skipIf(!isThere && process.env['CI'] === undefined)('restore onto exfat, which folds case', () => {
  async function archived() {
    const machine = new Machine();
    const at = (name: string): string => join(machine.data, name);
    machine.pickData();
    for (const folder of ['Docs', 'docs', 'plain']) mkdirSync(at(folder));
    const files = [
      'README',
      'readme',
      'Docs/both',
      'docs/both',
      'docs/Both',
      'Docs/upper',
      'docs/lower',
      'plain/x',
    ];
    for (const name of files) writeFileSync(at(name), `content of ${name}`);
    writeFileSync(at('É'), 'upper');
    writeFileSync(at('é'), 'lower');
    machine.snapshotter('Dump', 'echo of Dump >&$1');
    machine.snapshotter('dump', 'echo of dump >&$1');
    expect((await machine.archive()).code).toBe(0);
    const target = join(foldingFolder(machine.folder), 'back');
    const restore = async (...args: string[]) => {
      const all = ['restore', '--conf-dir', machine.confDir, '--target', target, '--json', ...args];
      const { code, stdout } = await run(all);
      const lines = jsonLines(stdout);
      const failed = lines
        .filter(({ type, code }) => type === 'problem' && code === 'name-taken')
        .map(({ path, message }) => ({ path: String(path), message: String(message) }));
      return { code, summary: lines.at(-1), failed };
    };
    const read = (name: string): string => readFileSync(join(target, at(name)), 'utf8');
    return { machine, target, restore, read, at };
  }

  it('fails each path whose place another has taken, naming both; the first stays, in a second restore too', async () => {
    const { restore, read, at, target } = await archived();
    for (const round of ['first', 'second', 'with --overwrite always']) {
      const args = round.includes('always') ? ['--overwrite', 'always'] : [];
      const { code, failed, summary } = await restore(...args);
      expect([round, code]).toEqual([round, 3]);
      expect(failed.map(({ path }) => path).sort()).toEqual(
        [at('docs/Both'), at('docs/both'), at('readme'), at('é')].sort(),
      );
      for (const [path, first] of [
        ['readme', 'README'],
        ['docs/both', 'Docs/both'],
        ['é', 'É'],
      ] as const)
        expect(failed.find((one) => one.path === at(path))?.message).toContain(
          `${at(path)}: its place is taken by ${at(first)}`,
        );
      expect(summary).toMatchObject({ failed: 4 });
      expect(read('README')).toBe('content of README');
      expect(read('É')).toBe('upper');
      // Directories are merged.
      expect(read('Docs/both')).toBe('content of Docs/both');
      expect(read('Docs/upper')).toBe('content of Docs/upper');
      expect(read('Docs/lower')).toBe('content of docs/lower');
      expect(readdirSync(join(target, at('.')))).toEqual(expect.arrayContaining(['Docs', 'README', 'plain']));
      expect(readdirSync(join(target, at('.')))).not.toContain('readme');
    }
    const dry = await restore('--dry-run');
    expect([dry.code, dry.failed.length]).toEqual([3, 4]);
  });

  it('restores either of two when the other is left out', async () => {
    const { restore, read } = await archived();
    const { failed } = await restore('--exclude', 'README', '--exclude', 'Docs');
    expect(failed.map(({ path }) => path.split('/').at(-1))).toEqual(['both', 'é']);
    expect(read('readme')).toBe('content of readme');
  });

  it('keeps the first of two snapshots', async () => {
    const { machine } = await archived();
    const into = join(machine.folder, 'folding/dumps');
    const { code, stderr } = await run(['restore', '--conf-dir', machine.confDir, '--snapshots', into]);
    expect([code, stderr]).toEqual([3, expect.stringContaining('snapshot dump: its place is taken by Dump')]);
    expect(readFileSync(join(into, 'Dump'), 'utf8')).toBe('of Dump\n');
  });
});

it.skipIf(process.geteuid?.() !== 0)(
  'two names that only other file systems would take for one are restored',
  async () => {
    const machine = new Machine();
    machine.pickData();
    for (const name of ['README', 'readme', 'Readme']) writeFileSync(join(machine.data, name), name);
    symlinkSync('README', join(machine.data, 'LINK'));
    symlinkSync('readme', join(machine.data, 'link'));
    expect((await machine.archive()).code).toBe(0);
    const target = join(machine.folder, 'back');
    for (const args of [[], ['--overwrite', 'always']]) {
      const { code } = await run(['restore', '--conf-dir', machine.confDir, '--target', target, ...args]);
      expect(code).toBe(0);
      for (const name of ['README', 'readme', 'Readme'])
        expect(readFileSync(join(target, machine.data, name), 'utf8')).toBe(name);
    }
  },
);
