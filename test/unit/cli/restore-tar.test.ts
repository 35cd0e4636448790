import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withTarFile } from '#cli/restore/tar-file.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { Command, jsonLines, Machine, MAIN, run } from './command.js';
import { atTerminal, hasScript } from './terminal.js';
import { describeTree } from './tree.js';

async function archived(): Promise<{ machine: Machine; args: string[] }> {
  const machine = new Machine();
  machine.pickData();
  mkdirSync(join(machine.data, 'folder'), { mode: 0o750 });
  writeFileSync(join(machine.data, 'folder/text'), 'text');
  writeFileSync(join(machine.data, 'long'), Buffer.alloc(6_000_000, 'long'));
  await machine.archive();
  return { machine, args: ['restore', '--conf-dir', machine.confDir] };
}

function unpack(machine: Machine, tar: string): Map<string, string> {
  const target = join(machine.folder, 'unpacked');
  mkdirSync(target);
  execFileSync('tar', ['-xpf', tar, '-C', target]);
  return describeTree(join(target, machine.data));
}

describe('restore --to-tar', () => {
  it('writes a file that has its name when it is whole, for this user only', async () => {
    const { machine, args } = await archived();
    const { code, stdout } = await run([...args, '--to-tar', 'all.tar', '--json'], { cwd: machine.folder });
    expect(code).toBe(0);
    const tar = join(machine.folder, 'all.tar');
    expect(jsonLines(stdout).at(-1)).toMatchObject({ type: 'summary', file: tar, failed: 0 });
    expect(statSync(tar).mode & 0o777).toBe(0o600);
    expect(unpack(machine, tar)).toEqual(describeTree(machine.data));
  });

  it('- writes it to standard output, and all words to standard error', async () => {
    const { machine, args } = await archived();
    const tar = join(machine.folder, 'all.tar');
    const command = [process.execPath, MAIN, ...args, '--to-tar', '-'].map((arg) => `'${arg}'`).join(' ');
    const { status, stderr } = spawnSync('sh', ['-c', `${command} > '${tar}'`]);
    expect(status).toBe(0);
    expect(String(stderr)).toContain('restored as a tar');
    expect(unpack(machine, tar)).toEqual(describeTree(machine.data));
  });

  it('- is read by GNU tar through a pipe', async () => {
    const { machine, args } = await archived();
    const target = join(machine.folder, 'piped');
    mkdirSync(target);
    const command = [process.execPath, MAIN, ...args, '--to-tar', '-'].map((arg) => `'${arg}'`).join(' ');
    const { status, stderr } = spawnSync('sh', ['-c', `${command} | tar -xpf - -C '${target}'`]);
    expect([status, String(stderr)]).toEqual([0, expect.not.stringMatching(/^tar:/m)]);
    expect(describeTree(join(target, machine.data))).toEqual(describeTree(machine.data));
  });

  it('- fails when whoever reads it goes away', async () => {
    const { args } = await archived();
    const { child, ended } = new Command([...args, '--to-tar', '-']);
    child.stdout?.once('data', () => child.stdout?.destroy());
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^s3-sysbackup: cannot write /m);
  });

  it('leaves no file, and the one that was there, where it fails', async () => {
    const { machine, args } = await archived();
    const folder = join(machine.folder, 'tars');
    mkdirSync(folder);
    writeFileSync(join(folder, 'all.tar'), 'of yesterday');
    rmSync(join(machine.store, 'content'), { recursive: true });
    const replacing = [...args, '--to-tar', join(folder, 'all.tar'), '--force'];
    const { code } = await run([...replacing, '--log-level', 'error']);
    // A tar that lacks files is better than none, and the exit code says so.
    expect(code).toBe(3);
    rmSync(join(machine.store, 'manifests'), { recursive: true });
    writeFileSync(join(folder, 'all.tar'), 'of yesterday');
    expect((await run(replacing)).code).toBe(10);
    expect(readdirSync(folder)).toEqual(['all.tar']);
    expect(readFileSync(join(folder, 'all.tar'), 'utf8')).toBe('of yesterday');
  });

  it('replaces an existing file only with --force, in a dry run too', async () => {
    const { machine, args } = await archived();
    const file = join(machine.folder, 'all.tar');
    writeFileSync(file, 'of yesterday');
    for (const more of [[], ['--dry-run']]) {
      const { code, stderr } = await run([...args, '--to-tar', file, ...more]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`--to-tar ${file}: this file exists`)]);
      expect(stderr).toContain('--force');
    }
    expect(readFileSync(file, 'utf8')).toBe('of yesterday');
    expect((await run([...args, '--to-tar', file, '--force'])).code).toBe(0);
    expect(execFileSync('tar', ['-tf', file], { encoding: 'utf8' })).toContain('folder/text');
    expect((await run([...args, '--target', join(machine.folder, 'back'), '--force'])).code).toBe(2);
  });

  it('leaves a file that was made under the name meanwhile', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'all.tar');
    await expect(
      withTarFile(file, false, async (write) => {
        await write(Buffer.from('a tar'));
        writeFileSync(file, 'of somebody else');
      }),
    ).rejects.toMatchObject({ code: 'USAGE' });
    expect(readFileSync(file, 'utf8')).toBe('of somebody else');
    expect(readdirSync(folder)).toEqual(['all.tar']);
  });

  it('writes into a FIFO', async () => {
    const { machine, args } = await archived();
    const fifo = join(machine.folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const reader = spawn('tar', ['-tf', fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    let listed = '';
    reader.stdout.on('data', (text: Buffer) => {
      listed += String(text);
    });
    const [{ code }, [readerCode]] = await Promise.all([
      run([...args, '--to-tar', fifo]),
      once(reader, 'close'),
    ]);
    expect([code, readerCode]).toEqual([0, 0]);
    expect(listed).toContain('folder/text');
    expect(existsSync(fifo)).toBe(true);
  });

  it.each([
    [['--target', '/t'], '--target'],
    [['--checksum'], '--checksum'],
  ])('is refused beside %s', async (more, names) => {
    const { code, stderr } = await run(['restore', '--directory', '/d', '--to-tar', 'x', ...more]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(names)]);
  });

  it('- is refused beside --json', async () => {
    const { code, stdout } = await run(['restore', '--directory', '/d', '--to-tar', '-', '--json']);
    expect(code).toBe(2);
    expect(jsonLines(stdout)).toHaveLength(1);
  });

  it.skipIf(!hasScript)('- is refused at a terminal', async () => {
    const { code, screen } = await atTerminal(['restore', '--directory', '/d', '--to-tar', '-']);
    expect([code, screen]).toEqual([2, expect.stringContaining('terminal')]);
  });
});
