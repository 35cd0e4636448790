import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command, jsonLines, Machine, run } from './command.js';

const ODD = Buffer.from([0x1b, 0x5b, 0x33, 0x31, 0x6d, 0xff, 0x0a]);

/** A machine with some files, backed up once. */
async function backedUp(): Promise<Machine> {
  const machine = new Machine();
  machine.pickData();
  machine.snapshotter('inventory', 'echo all of it; echo dump >&$1');
  const { data } = machine;
  mkdirSync(join(data, 'folder'), { mode: 0o750 });
  writeFileSync(join(data, 'folder/text'), 'some text\n', { mode: 0o640 });
  chmodSync(join(data, 'folder/text'), 0o4751);
  writeFileSync(join(data, 'gone'), 'x');
  symlinkSync('folder/text', join(data, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${data}/`), ODD]), 'odd');
  utimesSync(join(data, 'folder/text'), 1_600_000_000, 1_600_000_000);
  expect((await machine.archive()).code).toBe(0);
  return machine;
}

describe('list', () => {
  it('exits with 10 and the nearest names where nothing has the name', async () => {
    const machine = await backedUp();
    const conf = ['--conf-dir', machine.confDir];
    const [first] = JSON.parse((await run(['list', ...conf, '--json'])).stdout);
    const named = await run(['list', '--name', `${first.name}x`, ...conf]);
    expect(named).toMatchObject({ code: 10, stdout: '' });
    expect(named.stderr).toContain(`hint: The nearest name is ${first.name}.`);
    expect((await run(['list', '--name', first.name, ...conf])).stdout).toContain(first.run);
  });
});

describe('ls', () => {
  it('reads like ls -l, and shows no control character', async () => {
    const machine = await backedUp();
    const { code, stdout, stderr } = await run(['ls', 'latest', '--conf-dir', machine.confDir]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^run \d{8}T\d{6}Z-[0-9a-f]{8} of .*, complete\n$/);
    const lines = stdout.trimEnd().split('\n');
    const user = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
    const text = lines.find((line) => line.endsWith('/folder/text'));
    expect(text?.split(/ +/)).toEqual([
      '-rwsr-x--x',
      user,
      expect.any(String),
      '10',
      '2020-09-13',
      '12:26:40',
      join(machine.data, 'folder/text'),
    ]);
    expect(lines.some((line) => line.startsWith('drwx') && line.endsWith(join(machine.data, 'folder')))).toBe(
      true,
    );
    expect(lines.some((line) => line.startsWith('lrwx') && line.endsWith('/link -> folder/text'))).toBe(true);
    expect(lines.some((line) => line.endsWith(String.raw`/\x1b[31m\xff\x0a`))).toBe(true);
    expect(lines.at(-1)).toMatch(/^s--------- .* 5 .* inventory$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
  });

  it('prints JSON lines as they stand in the manifest', async () => {
    const machine = await backedUp();
    const { stdout } = await run(['ls', 'latest', machine.data, '--conf-dir', machine.confDir, '--json']);
    const lines = jsonLines(stdout);
    expect(lines).toHaveLength(6);
    expect(lines[0]).toMatchObject({ typ: 'd', path: machine.data });
    const odd = Buffer.concat([Buffer.from(`${machine.data}/`), ODD]).toString('base64');
    expect(lines.find(({ path64 }) => path64 === odd)).toMatchObject({ typ: 'f', size: 3 });
  });

  it('exits with 10 and the nearest names where run or path is unknown', async () => {
    const machine = await backedUp();
    const conf = ['--conf-dir', machine.confDir];
    const path = await run(['ls', 'latest', join(machine.data, 'folder/txt'), ...conf]);
    expect(path).toMatchObject({ code: 10, stdout: '' });
    expect(path.stderr).toContain(`hint: The nearest path is ${join(machine.data, 'folder/text')}.`);
    const unknown = await run(['ls', 'lastest', ...conf]);
    expect(unknown).toMatchObject({ code: 10, stdout: '' });
    const depth = await run(['ls', 'latest', '/', '--depth', '-1', ...conf]);
    expect(depth).toMatchObject({ code: 2, stdout: '' });
  });

  it('ends when nobody reads any more', async () => {
    const machine = await backedUp();
    const command = new Command(['ls', 'latest', '--conf-dir', machine.confDir]);
    command.child.stdout?.destroy();
    expect((await command.ended).code).toBe(0);
  });
});

describe('diff', () => {
  it('says what was added, removed and changed, and counts it', async () => {
    const machine = await backedUp();
    const { data, confDir } = machine;
    const first = jsonLines((await run(['list', '--conf-dir', confDir, '--json'])).stdout.slice(1, -2))[0];
    writeFileSync(join(data, 'folder/text'), 'some other text\n');
    chmodSync(join(data, 'folder/text'), 0o600);
    rmSync(join(data, 'gone'));
    writeFileSync(join(data, 'new'), 'y');
    rmSync(join(data, 'link'));
    symlinkSync('new', join(data, 'link'));
    machine.snapshotter('inventory', 'echo all of it; echo longer dump >&$1');
    expect((await machine.archive()).code).toBe(0);

    const runs = [String(first?.['run']), 'latest', '--conf-dir', confDir];
    const { code, stdout, stderr } = await run(['diff', ...runs]);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toContain(`+ ${join(data, 'new')}`);
    expect(lines).toContain(`- ${join(data, 'gone')}`);
    const changed = (name: string) => lines.find((line) => line.startsWith(`~ ${join(data, name)}: `));
    expect(changed('folder/text')).toMatch(
      /: content 10 B -> 16 B, mode rwsr-x--x -> rw-------, time 2020-09-13 12:26:40 -> \d{4}-/,
    );
    expect(changed('link')).toContain('target folder/text -> new');
    expect(lines).toContain('~ inventory (snapshot): content 5 B -> 12 B');
    expect(stderr).toMatch(/\n1 added, 1 removed, \d changed\n$/);

    const json = jsonLines((await run(['diff', ...runs, '--json'])).stdout);
    expect(json).toHaveLength(lines.length);
    expect(json.find(({ change }) => change === 'added')).toMatchObject({
      after: { path: join(data, 'new') },
    });
    const same = await run(['diff', 'latest', 'latest', '--conf-dir', confDir]);
    expect(same).toMatchObject({ code: 0, stdout: '' });
  });
});

describe('cat', () => {
  it('prints bytes as they were, of files and of snapshots', async () => {
    const machine = await backedUp();
    const conf = ['--conf-dir', machine.confDir];
    const path = join(machine.data, 'folder/text');
    expect(await run(['cat', 'latest', path, ...conf])).toMatchObject({ code: 0, stdout: 'some text\n' });
    expect(await run(['cat', 'latest', 'inventory', ...conf])).toMatchObject({ code: 0, stdout: 'dump\n' });
  });

  it('exits with 1 where the stored bytes are not those that were backed up', async () => {
    const machine = await backedUp();
    const conf = ['--conf-dir', machine.confDir];
    const path = join(machine.data, 'folder/text');
    const [entry] = jsonLines((await run(['ls', 'latest', path, ...conf, '--json'])).stdout);
    const dat = entry?.['dat'] as { key: string } | undefined;
    const stored = join(machine.store, dat?.key ?? '');
    const bytes = readFileSync(stored);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    chmodSync(stored, 0o600);
    writeFileSync(stored, bytes);
    const { code, stderr } = await run(['cat', 'latest', path, ...conf]);
    expect(code).toBe(1);
    expect(stderr).toContain('hint: ');
  });

  it('says what a folder or symlink is, and takes no --json', async () => {
    const machine = await backedUp();
    const conf = ['--conf-dir', machine.confDir];
    const link = await run(['cat', 'latest', join(machine.data, 'link'), ...conf]);
    expect(link).toMatchObject({ code: 2, stdout: '' });
    expect(link.stderr).toContain('is a symlink to folder/text');
    const folder = await run(['cat', 'latest', machine.data, ...conf]);
    expect(folder.stderr).toContain('is a folder');
    expect((await run(['cat', 'latest', '/x', ...conf, '--json'])).code).toBe(2);
  });
});
