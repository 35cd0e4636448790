import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command, type Ended, jsonLines, Machine, run } from './command.js';

const FIXTURE = join(import.meta.dirname, '../../fixtures/confs/by-write-config.conf');

/** What the first run into a directory says. */
const madeStore = ({ store }: Machine): string => `made a new store in ${store}\n`;

async function check(machine: Machine, ...args: string[]): Promise<Ended> {
  return await run(['check-config', '--conf-dir', machine.confDir, ...args]);
}

/** The program believes to be on a host of that name. */
function onHost(name: string): { env: Record<string, string> } {
  const text =
    `import os from 'node:os'; import { syncBuiltinESMExports } from 'node:module';` +
    `os.hostname = () => '${name}'; syncBuiltinESMExports();`;
  return { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(text)}` } };
}

describe('a misspelt name in the conf', () => {
  it.each([
    ['a setting', '[content]\ndays_retaine = 30\n', /\[content\] days_retaine .*days_retained/],
    ['a section', '[contnet]\ndays_retained = 30\n', /\[contnet\] .*\[content\]/],
  ])('(%s) stops an archive and a dry run with 2, and nothing is stored', async (_, conf, sentence) => {
    const machine = new Machine(conf);
    machine.pickData();
    for (const args of [[], ['--dry-run']]) {
      const { code, stderr } = await machine.archive(...args);
      expect(code).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr).toMatch(/^hint: Correct the name/m);
    }
    expect((await run(['list', '--directory', machine.store])).code).toBe(10);
    const checked = await check(machine);
    expect(checked.code).toBe(2);
    expect(checked.stderr).toMatch(new RegExp(`^s3-sysbackup: .*${sentence.source}`, 'm'));
    expect(checked.stdout).toContain('days_retained');
  });

  it('is a warning to all other commands, restore above all', async () => {
    const machine = new Machine();
    machine.pickData();
    writeFileSync(join(machine.data, 'one'), 'one');
    expect((await machine.archive()).code).toBe(0);
    const conf = readFileSync(join(machine.confDir, 'conf'), 'utf8');
    machine.writeConf(`${conf.replace('[content]\n', '[content]\ndays_retaine = 30\n')}[frob]\na = 1\n`);
    const back = join(machine.folder, 'back');
    for (const args of [['restore', '--target', back], ['renew'], ['list'], ['verify'], ['ls', 'latest']]) {
      const { code, stderr } = await run([...args, '--conf-dir', machine.confDir]);
      expect([args[0], code], stderr).toEqual([args[0], 0]);
      expect(stderr).toMatch(/^warning: .*days_retaine .*did you mean days_retained/m);
      expect(stderr).toMatch(/^warning: .*\[frob\] is not a known section/m);
    }
    expect(readFileSync(join(back, machine.data, 'one'), 'utf8')).toBe('one');
  });
});

describe('a name that is nobody’s slip', () => {
  it('does not stop a conf that an earlier version wrote, and check-config ends with 2 for it', async () => {
    const machine = new Machine();
    machine.pickData();
    const written = readFileSync(FIXTURE, 'utf8').replace('STORE', machine.store);
    const state = `[state]\npath = ${join(machine.folder, 'state')}`;
    const own = '[x-team]\nowner = me\n[DEFAULT]\nsite = north\n';
    machine.writeConf(`${written.replace('[state]', state)}\n${own}`);
    expect(await check(machine)).toMatchObject({ code: 0, stderr: '' });
    expect(await machine.archive()).toMatchObject({ code: 0, stderr: madeStore(machine) });

    machine.writeConf(`${written.replace('[state]', state)}\n${own}[notify]\nmail = me@example.net\n`);
    const { code, stderr } = await machine.archive();
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: .*\[notify\] is not a known section, and mail in it is ignored/m);
    const checked = await check(machine);
    expect(checked.code).toBe(2);
    expect(checked.stderr).toMatch(/^s3-sysbackup: not known, and ignored by all commands: .*\[notify\]$/m);
  });
});

describe('check-config', () => {
  it('ends with 2 in the words of archive where nothing says what to back up, but for who only reads', async () => {
    const machine = new Machine();
    const archived = await machine.archive();
    expect(archived.code).toBe(2);
    for (const args of [[], ['--for', 'archive'], ['--json']]) {
      const { code, stdout, stderr } = await check(machine, ...args);
      expect(code).toBe(2);
      expect(stderr).toBe(archived.stderr);
      expect(stdout).toContain('days_retained');
    }
    for (const purpose of ['renew', 'restore'])
      expect(await check(machine, '--for', purpose)).toMatchObject({ code: 0, stderr: '' });
    expect((await check(machine, '--for', 'fun')).code).toBe(2);
  });

  it('has the code of the gravest where the store says no too', async () => {
    const machine = new Machine('[frob]\n');
    machine.pickData();
    writeFileSync(machine.store, 'no folder');
    const { code, stdout, stderr } = await check(machine, '--connect', '--json');
    expect(code).toBe(2);
    expect(Object.keys(jsonLines(stdout)[0] ?? {})).toContain('content');
    expect(stderr.match(/^s3-sysbackup: /gm)).toHaveLength(2);
  });

  it('ends with 2 where everybody may read the key, and archive warns; 0640 passes', async () => {
    const machine = new Machine();
    machine.pickData();
    const key = join(machine.confDir, 'key');
    writeFileSync(key, '[default]\naws_access_key_id = a\naws_secret_access_key = b\n');
    const nowhere = '[s3]\nbucket = b-1\nendpoint_url = http://127.0.0.1:9\nregion = eu-1\n';
    machine.writeConf(`[aws]\ncredentials_file = key\n${nowhere}[state]\npath = ../state\n`);
    for (const [mode, code] of [
      [0o644, 2],
      [0o604, 2],
      [0o640, 0],
      [0o600, 0],
    ] as const) {
      chmodSync(key, mode);
      const checked = await check(machine);
      expect([mode, checked.code]).toEqual([mode, code]);
      if (code === 0) expect(checked.stderr).toBe('');
      else {
        expect(checked.stderr).toMatch(/^s3-sysbackup: everybody on this machine may read the key in .*key/m);
        expect(checked.stderr).not.toMatch(/^warning/m);
      }
    }
    chmodSync(key, 0o644);
    const archiving = new Command(['archive', '--conf-dir', machine.confDir]);
    await archiving.says('warning: everybody on this machine may read the key');
    archiving.child.kill('SIGKILL');
    await archiving.ended;
  });
});

describe('the backup name', () => {
  const nameIn = async (machine: Machine): Promise<unknown> =>
    (JSON.parse((await check(machine, '--json')).stdout) as { backup: unknown }).backup;

  it('is that of [backup] name, else the default; --name wins', async () => {
    const machine = new Machine('[backup]\nname = shop\n');
    machine.pickData();
    expect(await nameIn(machine)).toEqual({ name: { value: 'shop', source: 'conf:6' } });
    expect((await check(machine)).stdout).toMatch(/^\[backup\]\n {2}name +shop +conf:6$/m);
    const archived = await machine.archive();
    expect([archived.code, archived.stderr]).toEqual([0, madeStore(machine)]);
    expect(archived.stdout).toMatch(/^shop: run /);
    expect((await machine.archive('--name', 'other')).stdout).toMatch(/^other: run /);
    const latest = await run(['ls', 'latest', '--conf-dir', machine.confDir, '--json']);
    expect(latest.code).toBe(0);

    const plain = new Machine();
    plain.pickData();
    const shown = JSON.parse(
      (await run(['check-config', '--json', '--conf-dir', plain.confDir], onHost('web1'))).stdout,
    ) as unknown;
    expect(shown).toMatchObject({ backup: { name: { value: 'web1-backup', source: 'default' } } });
  });

  it('that cannot be one is refused with file and line', async () => {
    const machine = new Machine('[backup]\nname = a/b\n');
    const { code, stderr } = await machine.archive();
    expect(code).toBe(2);
    expect(stderr).toMatch(/conf:6: \[backup\] name = a\/b: must be a name/);
  });

  it('is warned of where it follows the host name, which has changed', async () => {
    const machine = new Machine();
    machine.pickData();
    mkdirSync(join(machine.folder, 'state', 'of another program'), { recursive: true });
    const archiveOn = async (host: string): Promise<Ended> =>
      await run(['archive', '--conf-dir', machine.confDir], onHost(host));
    const first = await archiveOn('web1');
    expect([first.code, first.stderr]).toEqual([0, madeStore(machine)]);
    const renamed = await archiveOn('web2');
    expect(renamed.code).toBe(0);
    expect(renamed.stderr).toMatch(/^warning: .*web2-backup.*web1-backup.*\[backup\] name/m);
    const checked = await run(['check-config', '--connect', '--conf-dir', machine.confDir], onHost('web2'));
    expect(checked.code).toBe(0);
    expect(checked.stderr).toMatch(/^warning: .*web2-backup.*web1-backup/m);

    // Another store knows nothing of that, and a name that was chosen is meant.
    const conf = readFileSync(join(machine.confDir, 'conf'), 'utf8');
    machine.writeConf(conf.replace('../store', '../other'));
    expect((await archiveOn('web3')).stderr).toBe(`made a new store in ${machine.folder}/other\n`);
    machine.writeConf(`${conf}[backup]\nname = web2-backup\n`);
    expect((await archiveOn('web2')).stderr).toBe('');
  });
});
