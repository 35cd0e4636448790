import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command, jsonLines, Machine, run } from './command.js';
import { atTerminal, hasScript } from './terminal.js';

/** A machine with snapshots whose commands write what they get into files. */
async function archived(
  commands: Record<string, string>,
): Promise<{ machine: Machine; args: string[]; at: (name: string) => string }> {
  const machine = new Machine();
  machine.pickData();
  const at = (name: string): string => join(machine.folder, name);
  for (const [name, command] of Object.entries(commands))
    machine.snapshotter(
      name,
      `echo 'all of ${name}'; cat <<'E'\n::restore-through:: ${command}\nE\nprintf 'dump of ${name}' >&$1`,
    );
  await machine.archive();
  const args = [
    'restore',
    '--conf-dir',
    machine.confDir,
    '--snapshots',
    at('dumps'),
    '--run-restore-through',
  ];
  return { machine, args, at };
}

const read = (path: string): string => readFileSync(path, 'utf8');

describe('restore --run-restore-through', () => {
  it('shows each command and pipes the snapshot into it, with --yes without asking', async () => {
    const folder = new Machine().folder;
    const { args, at } = await archived({
      one: `cat > '${folder}/one'`,
      two: `tr a-z A-Z > '${folder}/two'`,
    });
    const { code, stdout, stderr } = await run([...args, '--yes']);
    expect(code).toBe(0);
    expect([read(join(folder, 'one')), read(join(folder, 'two'))]).toEqual(['dump of one', 'DUMP OF TWO']);
    expect(stderr).toContain(`    cat > '${folder}/one'`);
    expect(stderr.indexOf('Snapshot one')).toBeLessThan(stderr.indexOf('Snapshot two'));
    expect(stdout).toMatch(/restored through its command: tr/);
    expect(read(at('dumps/one'))).toBe('dump of one');
  });

  it('without --yes and without a terminal refuses before it asks the store', async () => {
    const { code, stderr } = await run([
      'restore',
      '--directory',
      '/nonexistent',
      '--snapshots',
      '/nonexistent/x',
      '--run-restore-through',
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--yes')]);
  });

  it('is refused where no snapshots are asked for', async () => {
    const { code, stderr } = await run([
      'restore',
      '--directory',
      '/d',
      '--target',
      '/t',
      '--run-restore-through',
      '--yes',
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--snapshots')]);
  });

  it('goes on after a command that fails, says how, keeps its bytes, and exits with 3', async () => {
    const folder = new Machine().folder;
    const { args, at } = await archived({
      broken: 'echo no such database >&2; exit 7',
      killed: 'kill -9 $$',
      right: `cat > '${folder}/right'`,
    });
    const { code, stdout, stderr } = await run([...args, '--yes', '--json']);
    expect(code).toBe(3);
    const lines = jsonLines(stdout);
    const problems = lines.filter(({ type }) => type === 'problem');
    expect(problems.map(({ code: is, source }) => [is, source])).toEqual([
      ['restore-through-failed', 'broken'],
      ['restore-through-failed', 'killed'],
    ]);
    expect(String(problems[0]?.['message'])).toMatch(/exit code 7.*no such database.*dumps\/broken/);
    const { snapshots } = lines.at(-1) as { snapshots: { restored: { name: string; through: string }[] } };
    expect(snapshots.restored.map(({ name, through }) => [name, through])).toEqual([
      ['broken', 'failed'],
      ['killed', 'failed'],
      ['right', 'done'],
    ]);
    expect(stderr).toContain('Snapshot broken');
    expect(read(at('dumps/broken'))).toBe('dump of broken');
    expect(read(join(folder, 'right'))).toBe('dump of right');
  });

  it('runs nothing for a snapshot that did not come back right', async () => {
    const folder = new Machine().folder;
    const { machine, args } = await archived({ one: `touch '${folder}/ran'` });
    mkdirSync(join(machine.folder, 'dumps/one'), { recursive: true });
    const { code } = await run([...args, '--yes']);
    expect(code).toBe(1);
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  it('a command that reads nothing of its input is no failure of it', async () => {
    const { args } = await archived({ one: 'true' });
    expect((await run([...args, '--yes'])).code).toBe(0);
  });

  it('stops the command, and what it started, when it is stopped', async () => {
    const { args, at } = await archived({ one: 'echo begun >&2; (sleep 600; echo late) & sleep 600' });
    const command = new Command([...args, '--yes']);
    await command.says('begun');
    command.child.kill('SIGTERM');
    expect((await command.ended).code).toBe(143);
    expect(read(at('dumps/one'))).toBe('dump of one');
  });

  it.skipIf(!hasScript)('asks at a terminal, and runs only what was said yes to', async () => {
    const folder = new Machine().folder;
    const { args, at } = await archived({
      a: `cat > '${folder}/a'`,
      b: `cat > '${folder}/b'`,
      c: `printf 'x\u202ey' > '${folder}/c'`,
    });
    const answers = ['n\n', 'y\n', '\n'].map((type) => ({ to: 'Run it? [y/N]', type }));
    const { code, screen } = await atTerminal(args, { answers });
    expect(code).toBe(0);
    expect(['a', 'b', 'c'].map((name) => existsSync(join(folder, name)))).toEqual([false, true, false]);
    expect(screen).toMatch(/Snapshot a, .*\n +all of a\n.*shell command.*\n +cat > /);
    expect(screen).toContain('x\\u{202e}y');
    expect(screen).toContain('its command was not run: cat');
    expect(read(at('dumps/a'))).toBe('dump of a');
  });
});
