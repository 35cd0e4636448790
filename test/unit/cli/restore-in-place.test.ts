import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonLines, Machine, run } from './command.js';
import { atTerminal, hasScript } from './terminal.js';
import { describeTree } from './tree.js';

/** A machine with an archived tree in which then a file was changed, one removed, and one touched. */
async function damaged(): Promise<{ machine: Machine; args: string[]; before: Map<string, string> }> {
  const machine = new Machine();
  machine.pickData();
  mkdirSync(join(machine.data, 'folder'));
  for (const name of ['changed', 'folder/gone', 'moded', 'same'])
    writeFileSync(join(machine.data, name), name);
  await machine.archive();
  const before = describeTree(machine.data);
  writeFileSync(join(machine.data, 'changed'), 'by mistake');
  rmSync(join(machine.data, 'folder/gone'));
  const args = ['restore', '--conf-dir', machine.confDir, '--include', machine.data];
  return { machine, args, before };
}

describe('restore without --target', () => {
  it('refuses where there is no terminal and no --yes, before it asks the store', async () => {
    const { machine, args } = await damaged();
    rmSync(machine.store, { recursive: true });
    const { code, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
    expect(readFileSync(join(machine.data, 'changed'), 'utf8')).toBe('by mistake');
  });

  it('puts everything back in its place with --yes', async () => {
    const { machine, args, before } = await damaged();
    const { code, stdout } = await run([...args, '--yes']);
    expect(code).toBe(0);
    expect(stdout).toContain('to where it came from');
    expect(describeTree(machine.data)).toEqual(before);
  });

  it('--dry-run lists, needs no answer and changes nothing', async () => {
    const { machine, args } = await damaged();
    const { code, stdout } = await run([...args, '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^replace +${machine.data}/changed`, 'm'));
    expect(stdout).toMatch(new RegExp(`^create +${machine.data}/folder/gone`, 'm'));
    expect(existsSync(join(machine.data, 'folder/gone'))).toBe(false);
  });

  it.skipIf(!hasScript)(
    'shows at a terminal what would be overwritten, and does it after a yes',
    async () => {
      const { machine, args, before } = await damaged();
      const answers = [{ to: '[y/N]', type: 'y\n' }];
      const { code, screen } = await atTerminal([...args, '--progress', 'never'], { answers });
      expect(screen).toMatch(/overwrites +1 path:\n +\S+\/changed$/m);
      expect(screen).toMatch(/creates +1 path/);
      expect(screen).not.toMatch(/same$/m);
      expect(code).toBe(0);
      expect(describeTree(machine.data)).toEqual(before);
    },
  );

  it.skipIf(!hasScript)('shows at a terminal what could not be restored, before it asks', async () => {
    const { machine, args } = await damaged();
    rmSync(join(machine.data, 'folder'), { recursive: true });
    writeFileSync(join(machine.data, 'folder'), 'no folder');
    const { screen } = await atTerminal(args, { answers: [{ to: '[y/N]', type: 'n\n' }] });
    expect(screen).toMatch(/cannot restore +2 paths:\n +\S+\/folder: .*no folder.*\nGo on\?/);
  });

  it.skipIf(!hasScript).each(['n\n', '\n', 'yesterday\n', '\x04'])(
    'does nothing after the answer %j, and exits with 1',
    async (type) => {
      const { machine, args } = await damaged();
      const { code, screen } = await atTerminal(args, { answers: [{ to: '[y/N]', type }] });
      expect(code).toBe(1);
      expect(screen).toContain('nothing was restored');
      expect(readFileSync(join(machine.data, 'changed'), 'utf8')).toBe('by mistake');
    },
  );

  it.skipIf(!hasScript)('stops with 130 when Ctrl-C is the answer', async () => {
    const { machine, args } = await damaged();
    const { code } = await atTerminal(args, { answers: [{ to: '[y/N]', type: '\x03' }] });
    expect(code).toBe(130);
    expect(existsSync(join(machine.data, 'folder/gone'))).toBe(false);
  });

  it.skipIf(!hasScript)('shows the first ten of many, with control characters made visible', async () => {
    const { machine, args } = await damaged();
    for (let index = 0; index < 30; index += 1) writeFileSync(join(machine.data, `m${index}`), 'x');
    writeFileSync(join(machine.data, 'a\x1b[2Jb'), 'x');
    await machine.archive();
    for (let index = 0; index < 30; index += 1) writeFileSync(join(machine.data, `m${index}`), 'yy');
    writeFileSync(join(machine.data, 'a\x1b[2Jb'), 'yy');
    const answers = [{ to: '[y/N]', type: 'n\n' }];
    const { screen } = await atTerminal([...args, '--progress', 'never'], { answers });
    expect(screen).toMatch(/overwrites +31 paths/);
    expect(screen).toContain('a\\x1b[2Jb');
    expect(screen).toContain('and 21 more');
    expect(screen).not.toContain('\x1b[2J');
  });
});

describe('restore --target over existing files', () => {
  async function restored() {
    const { machine } = await damaged();
    await machine.archive();
    const target = join(machine.folder, 'back');
    const args = ['restore', '--conf-dir', machine.confDir, '--target', target, '--progress', 'never'];
    const path = join(target, machine.data, 'changed');
    return { args, path, read: () => readFileSync(path, 'utf8') };
  }

  it.skipIf(!hasScript)('asks at a terminal, with their number and the first ten', async () => {
    const { args, path, read } = await restored();
    const empty = await atTerminal(args);
    expect([empty.code, empty.screen.includes('[y/N]')]).toEqual([0, false]);
    const unchanged = await atTerminal(args);
    expect([unchanged.code, unchanged.screen.includes('[y/N]')]).toEqual([0, false]);
    writeFileSync(path, 'mine');
    const no = await atTerminal(args, { answers: [{ to: '[y/N]', type: 'n\n' }] });
    expect(no.screen).toMatch(/overwrites +1 path:\n +\S+\/changed$/m);
    expect([no.code, read()]).toEqual([1, 'mine']);
    const yes = await atTerminal(args, { answers: [{ to: '[y/N]', type: 'y\n' }] });
    expect([yes.code, read()]).toEqual([0, 'by mistake']);
    expect(yes.screen).toContain('1 replaced');
  });

  it.skipIf(!hasScript).each([['--yes'], ['--overwrite', 'always'], ['--overwrite', 'if-changed']])(
    'does not ask where %s %s says so',
    async (...given) => {
      const { args, path, read } = await restored();
      await run(args);
      writeFileSync(path, 'mine');
      const { code, screen } = await atTerminal([...args, ...given.filter(Boolean)]);
      expect([code, screen.includes('[y/N]'), read()]).toEqual([0, false, 'by mistake']);
    },
  );

  it('does not ask without a terminal', async () => {
    const { args, path, read } = await restored();
    await run(args);
    writeFileSync(path, 'mine');
    const { code, stdout } = await run(args);
    expect([code, read()]).toEqual([0, 'by mistake']);
    expect(stdout).toContain('1 replaced');
  });
});

describe('restore --checksum', () => {
  it('brings back what was changed under the same size and time, which is overlooked without', async () => {
    const { machine, args } = await damaged();
    const path = join(machine.data, 'same');
    const { atime, mtime } = statSync(path);
    writeFileSync(path, 'SAME');
    utimesSync(path, atime, mtime);
    // utimes takes no nanoseconds: the time of the backup is set to what it can say.
    await machine.archive();
    writeFileSync(path, 'EMAS');
    utimesSync(path, atime, mtime);
    await run([...args, '--yes']);
    expect(readFileSync(path, 'utf8')).toBe('EMAS');
    const { code, stdout } = await run([...args, '--yes', '--checksum', '--json']);
    expect(code).toBe(0);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ done: { replace: 1 }, requests: 1 });
    expect(readFileSync(path, 'utf8')).toBe('SAME');
  });

  it.each(['always', 'never'])('is refused beside --overwrite %s', async (overwrite) => {
    const { code, stderr } = await run([
      'restore',
      '--directory',
      '/d',
      '--target',
      '/t',
      '--checksum',
      '--overwrite',
      overwrite,
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain('--checksum');
  });
});

describe('temporary files', () => {
  it('lie in the state directory, and are gone in the end', async () => {
    const { machine, args } = await damaged();
    await run([...args, '--yes'], { env: { TMPDIR: '/nonexistent' } });
    expect(readFileSync(join(machine.data, 'changed'), 'utf8')).toBe('changed');
    expect(existsSync(join(machine.folder, 'state/restore'))).toBe(true);
    expect(describeTree(join(machine.folder, 'state/restore')).size).toBe(1);
  });

  it('that killed commands left there go after a month', async () => {
    const { machine, args } = await damaged();
    const spool = join(machine.folder, 'state/restore');
    for (const name of ['restore-aBc123', 'restore-new', 'mine'])
      mkdirSync(join(spool, name), { recursive: true });
    for (const name of ['restore-aBc123', 'mine']) utimesSync(join(spool, name), 1, 1);
    await run([...args, '--yes']);
    expect(readdirSync(spool).sort()).toEqual(['mine', 'restore-new']);
  });

  it('lie where TMPDIR says when there is no conf', async () => {
    const { machine } = await damaged();
    const target = join(machine.folder, 'back');
    const args = ['restore', '--directory', machine.store, '--target', target];
    const { code, stderr } = await run(args, { env: { TMPDIR: '/nonexistent' } });
    expect(code).toBe(1);
    expect(stderr).toContain('/nonexistent');
    expect((await run(args, { env: { TMPDIR: machine.folder } })).code).toBe(0);
  });
});
