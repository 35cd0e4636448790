import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAIN, Machine, run } from './command.js';

interface Run {
  id: string;
  /** Of its manifest and that file's sidecar. */
  path: string;
  sidecar: string;
}

/** The runs of a backup, the oldest first. */
function runsOf(machine: Machine, name = 't'): Run[] {
  const folder = join(machine.store, 'manifests', name);
  return readdirSync(folder)
    .sort()
    .map((file) => ({
      id: file.slice(0, file.indexOf('.')),
      path: join(folder, file),
      sidecar: join(machine.store, 'retention/manifests', name, `${file}.json`),
    }));
}

function lockOf({ sidecar }: Run): { received: number; retention: { mode: string; until: number } } {
  return JSON.parse(readFileSync(sidecar, 'utf8'));
}

/** A machine with so many runs. */
async function backedUp(runs: number, conf = ''): Promise<Machine> {
  const machine = new Machine(conf);
  writeFileSync(join(machine.data, 'file'), 'content');
  machine.pickData();
  for (let nth = 0; nth < runs; nth++) expect((await machine.archive('--name', 't')).code).toBe(0);
  return machine;
}

function files(machine: Machine): string[] {
  return readdirSync(machine.store, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(machine.store, name)).isFile())
    .sort();
}

/** Types a command that a message tells to type. */
function type(machine: Machine, message: string): { code: number; output: string } {
  const command = /s3-sysbackup (verify --set-aside .*)$/m.exec(message)?.[1] ?? '';
  const bin = mkdtempSync(join(machine.folder, 'bin-'));
  writeFileSync(join(bin, 's3-sysbackup'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(join(bin, 's3-sysbackup'), 0o755);
  const env = { PATH: `${bin}:${process.env['PATH']}`, HOME: machine.folder };
  try {
    return {
      code: 0,
      output: execFileSync('sh', ['-c', `s3-sysbackup ${command} 2>&1`], { env, encoding: 'utf8' }),
    };
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return { code: status, output: stdout };
  }
}

describe('a manifest whose sidecar cannot be read', () => {
  it.each([
    ['is empty', (path: string) => truncateSync(path, 0)],
    ['is gone', (path: string) => rmSync(path)],
    [
      'has another digit in its time, so that the run would be years older',
      (path: string) => {
        const text = readFileSync(path, 'utf8');
        writeFileSync(
          path,
          text.replace(/"received":(\d)(\d)/, (_, first) => `"received":${first}1`),
        );
      },
    ],
  ])(
    '(it %s) is a warning of list, a finding of verify, and stops expire; what each says to type mends it',
    async (_, harm) => {
      const machine = await backedUp(1);
      const [only] = runsOf(machine) as [Run];
      const before = lockOf(only);
      const received = Math.floor(statSync(only.path).mtimeMs);
      harm(only.sidecar);
      const store = ['--directory', machine.store];
      const wayOut = `verify --set-aside t/${only.id}`;

      const list = await run(['list', ...store]);
      expect(list).toMatchObject({ code: 0, stdout: '' });
      expect(list.stderr).toContain('warning');
      expect(list.stderr).toContain(wayOut);
      expect(list.stderr).not.toContain('there is no backup');
      expect((await run(['list', ...store, '--name', 't'])).stderr).toContain(wayOut);

      const verify = await run(['verify', ...store]);
      expect(verify.code).toBe(1);
      expect(verify.stdout).toContain(wayOut);
      const json = JSON.parse((await run(['verify', ...store, '--json'])).stdout);
      expect(json).toMatchObject({ counts: { manifest: 1 }, runs: [{ run: only.id, state: 'damaged' }] });

      const kept = files(machine);
      for (const dryRun of [['--dry-run'], []]) {
        const expire = await run(['expire', ...store, '--last-too', ...dryRun]);
        expect(expire.code).toBe(14);
        expect(expire.stderr).toContain(wayOut);
      }
      expect(files(machine)).toEqual(kept);

      const mended = type(machine, verify.stdout);
      expect(mended.output).toContain('1 sidecar written again');
      expect(mended.output).toContain('nothing is wrong');
      expect(mended.code).toBe(0);
      // The header's promise and the file's time: the same, to the second, as what was there.
      expect(lockOf(only).retention).toEqual(before.retention);
      expect(lockOf(only).received).toBe(received);
      expect((await run(['verify', ...store, '--read-data'])).code).toBe(0);
      expect((await run(['expire', ...store])).code).toBe(0);
    },
    60_000,
  );

  it('is said by every command that would take an older run for it', async () => {
    const machine = await backedUp(2);
    const [older, newest] = runsOf(machine) as [Run, Run];
    truncateSync(newest.sidecar, 0);
    const store = ['--directory', machine.store];
    const wayOut = `verify --set-aside t/${newest.id}`;
    const target = join(machine.folder, 'back');
    for (const command of [
      ['restore', ...store, '--target', target, 't'],
      ['ls', ...store, 't'],
      ['cat', ...store, 't', join(machine.data, 'file')],
      ['diff', ...store, older.id, 't'],
      ['verify', ...store, 't'],
    ]) {
      const ended = await run(command);
      expect(ended.code, command.join(' ')).toBe(0);
      expect(ended.stderr, command.join(' ')).toContain(wayOut);
    }
    for (const command of [
      ['restore', ...store, '--target', target, newest.id],
      ['ls', ...store, `t/${newest.id}`],
    ]) {
      const ended = await run(command);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain(wayOut);
    }
    const renew = await run(['renew', ...store]);
    expect(renew.code).toBe(1);
    expect(renew.stderr).toContain(wayOut);
  }, 60_000);

  it('is said by check-config --connect', async () => {
    const machine = new Machine();
    machine.pickData();
    expect((await machine.archive()).code).toBe(0);
    const [name = ''] = readdirSync(join(machine.store, 'manifests'));
    const [only] = runsOf(machine, name) as [Run];
    truncateSync(only.sidecar, 0);
    const ended = await run(['check-config', '--conf-dir', machine.confDir, '--connect']);
    expect(ended.stderr).toContain(`verify --set-aside ${name}/${only.id}`);
  });

  it('is said by archive, which believes its memory of that run, and by rebuild-catalog', async () => {
    const machine = await backedUp(2);
    const [older, newest] = runsOf(machine) as [Run, Run];
    truncateSync(newest.sidecar, 0);
    const wayOut = `verify --set-aside t/${newest.id}`;
    const dry = await machine.archive('--name', 't', '--dry-run');
    expect(dry.stderr).toContain(wayOut);
    expect(dry.stderr).not.toContain('emptied or replaced');
    const archive = await machine.archive('--name', 't');
    expect(archive.stderr).toContain(wayOut);
    expect(archive.stderr).not.toContain('emptied or replaced');
    expect(archive.stdout).toContain('read        0 files');
    rmSync(runsOf(machine)[2]?.path ?? '', { force: true });
    rmSync(join(machine.folder, 'state'), { recursive: true });
    const rebuilt = await run(['rebuild-catalog', '--conf-dir', machine.confDir, '--name', 't']);
    expect(rebuilt.stderr).toContain(wayOut);
    expect(rebuilt.stdout).toContain(older.id);
  }, 60_000);

  it('is mended to the date of the class that the run stands for, as what it names is locked until then', async () => {
    const machine = await backedUp(1, '[retention]\nyearly = 2y\n');
    const [only] = runsOf(machine) as [Run];
    const { retention } = lockOf(only);
    truncateSync(only.sidecar, 0);
    expect((await run(['verify', '--directory', machine.store, '--set-aside', only.id])).code).toBe(0);
    expect(lockOf(only).retention.until).toBeGreaterThanOrEqual(retention.until);
  }, 60_000);

  it('has the time of its receipt from the file, and stays set aside where the file holds no whole manifest', async () => {
    const machine = await backedUp(2);
    const [older, newest] = runsOf(machine) as [Run, Run];
    utimesSync(older.path, 1_700_000_000, 1_700_000_000);
    truncateSync(older.sidecar, 10);
    const store = ['--directory', machine.store];
    expect((await run(['verify', ...store, '--set-aside', `t/${older.id}`])).code).toBe(0);
    expect(lockOf(older).received).toBe(1_700_000_000_000);

    truncateSync(newest.sidecar, 0);
    chmodSync(newest.path, 0o644);
    truncateSync(newest.path, 100);
    // Without its name nothing happens to it.
    expect((await run(['verify', ...store, '--set-aside'])).code).toBe(1);
    expect(existsSync(newest.path)).toBe(true);
    const ended = await run(['verify', ...store, '--set-aside', `t/${newest.id}`]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/set aside: set-aside\/manifests\/t\/.*@[0-9a-f]{32}/);
    expect(existsSync(newest.path) || existsSync(newest.sidecar)).toBe(false);
    expect(files(machine).filter((name) => name.startsWith('set-aside/'))).toHaveLength(2);
    expect((await run(['verify', ...store])).stdout).toContain('nothing is wrong');
    expect((await run(['expire', ...store])).code).toBe(0);
    const archive = await machine.archive('--name', 't');
    expect(archive.code).toBe(0);
    expect(archive.stderr).toContain('was set aside');
    expect(archive.stderr).not.toContain('emptied or replaced');
  }, 60_000);

  it('is set aside with a readable sidecar too, once its run is named; else it is only found', async () => {
    const machine = await backedUp(2);
    const [, newest] = runsOf(machine) as [Run, Run];
    chmodSync(newest.path, 0o644);
    truncateSync(newest.path, 100);
    const store = ['--directory', machine.store];
    for (const text of ['', 't']) {
      await run(['verify', ...store, '--set-aside', ...(text === '' ? [] : [text])]);
      expect(existsSync(newest.path)).toBe(true);
    }
    const ended = await run(['verify', ...store, '--set-aside', newest.id]);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain('set aside: set-aside/manifests/t/');
    expect(existsSync(newest.path)).toBe(false);
    const archive = await machine.archive('--name', 't');
    expect(archive.stderr).toContain('was set aside');
    expect(archive.stderr).not.toContain('emptied or replaced');
    expect(archive.stdout).toContain('read        0 files');
  }, 60_000);

  it('cannot be set aside in a bucket', async () => {
    const ended = await run(['verify', '--bucket', 'any', '--set-aside']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('docs/damage.md');
  });
});
