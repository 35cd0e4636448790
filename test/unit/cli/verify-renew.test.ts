import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeSidecar } from '../../kit/change-sidecar.js';
import { Machine, run } from './command.js';

async function backedUp(): Promise<Machine> {
  const machine = new Machine();
  machine.pickData();
  for (const name of ['one', 'two', 'three']) writeFileSync(join(machine.data, name), `content of ${name}`);
  writeFileSync(join(machine.data, 'copy of one'), 'content of one');
  expect((await machine.archive()).code).toBe(0);
  return machine;
}

/** The stored object that holds this content. */
function objectOf(machine: Machine, content: string): string {
  const folder = join(machine.store, 'content');
  const name = readdirSync(folder).find((each) => readFileSync(join(folder, each), 'utf8') === content);
  return join(folder, name ?? 'none');
}

describe('verify', () => {
  it('says that nothing is wrong, and until when all is locked', async () => {
    const machine = await backedUp();
    const { code, stdout, stderr } = await run(['verify', '--conf-dir', machine.confDir, '--read-data']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('nothing is wrong');
    expect(stdout).toMatch(/the lock that ends first ends 20/);
  });

  it('exits with 1 where an object is missing, and names all paths that depend on it', async () => {
    const machine = await backedUp();
    rmSync(objectOf(machine, 'content of one'));
    const { code, stdout } = await run(['verify', 'latest', '--directory', machine.store]);
    expect(code).toBe(1);
    expect(stdout).toContain('missing');
    expect(stdout).toContain(join(machine.data, 'one'));
    expect(stdout).toContain(join(machine.data, 'copy of one'));
    expect(stdout).not.toContain(join(machine.data, 'two'));
  });

  it('names all of many paths, each once with how many runs have it', async () => {
    const machine = new Machine();
    machine.pickData();
    for (let index = 0; index < 60; index += 1)
      writeFileSync(join(machine.data, `copy ${index}`), 'the same');
    await machine.archive();
    writeFileSync(join(machine.data, 'more'), 'the same');
    await machine.archive();
    rmSync(objectOf(machine, 'the same'));
    const { code, stdout } = await run(['verify', '--directory', machine.store]);
    expect(code).toBe(1);
    const paths = stdout.split('\n').filter((line) => line.startsWith(`  ${machine.data}/`));
    expect(paths).toHaveLength(61);
    expect(paths.filter((line) => / {2}\(2 runs, the last \S+\/\d{8}T\d{6}Z-\S+\)$/.test(line))).toHaveLength(
      60,
    );
    expect(stdout).toContain('1 object is not as it should be');
    const json = JSON.parse((await run(['verify', '--directory', machine.store, '--json'])).stdout);
    expect(json.findings[0].paths).toHaveLength(121);
  });

  it('finds damage only where it reads', async () => {
    const machine = await backedUp();
    const path = objectOf(machine, 'content of two');
    chmodSync(path, 0o644);
    writeFileSync(path, 'content of 2wo');
    expect((await run(['verify', '--directory', machine.store])).code).toBe(0);
    const read = await run(['verify', '--directory', machine.store, '--read-data=100', '--json']);
    expect(read.code).toBe(1);
    expect(JSON.parse(read.stdout)).toMatchObject({
      counts: { damaged: 1, missing: 0 },
      findings: [{ kind: 'damaged', paths: [{ path: join(machine.data, 'two') }] }],
    });
  });

  it('exits with 13 where a lock is shorter than promised', async () => {
    const machine = await backedUp();
    const sidecar = `${objectOf(machine, 'content of two').replace(`${machine.store}/`, `${machine.store}/retention/`)}.json`;
    chmodSync(sidecar, 0o644);
    const retention = { mode: 'GOVERNANCE', until: Math.floor(Date.now() / 1000) + 60 };
    changeSidecar(sidecar, () => ({ retention }));
    const { code, stdout } = await run(['verify', '--directory', machine.store]);
    expect(stdout).toContain('short');
    expect(code).toBe(13);
  });

  it('refuses a share that is none', async () => {
    const machine = await backedUp();
    for (const option of ['--sample=0', '--sample=101', '--sample=all', '--read-data=0', '--read-data=101']) {
      const { code, stderr } = await run(['verify', '--directory', machine.store, option]);
      expect(code).toBe(2);
      expect(stderr).toContain('100');
    }
  });

  it('takes what comes right behind --read-data for the run, where it is no number', async () => {
    const machine = await backedUp();
    expect((await machine.archive()).code).toBe(0);
    const [{ run: id }] = JSON.parse((await run(['list', '--directory', machine.store, '--json'])).stdout);
    const read = await run(['verify', '--directory', machine.store, '--read-data', id]);
    expect(read.code).toBe(0);
    expect(read.stdout).toContain('1 run names');
    expect((await run(['verify', '--directory', machine.store, '--read-data', '50', id])).code).toBe(0);
    expect((await run(['verify', '--directory', machine.store, '--read-data', 'nothing'])).code).toBe(10);
    const both = await run(['verify', '--directory', machine.store, '--read-data', 'all', id]);
    expect(both.code).toBe(2);
    expect(both.stderr).toContain('all is no share');
  });
});

describe('renew', () => {
  it('extends what is due, and says until when it is locked', async () => {
    const machine = await backedUp();
    const args = ['renew', '--directory', machine.store, '--retain-days', '60'];
    const first = await run([...args, '--json']);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ runs: [{ state: 'renewed' }], extended: 4 });
    const second = await run(args);
    expect(second.stdout).toContain('4 locks asked for, 0 extended');
    expect((await run(['verify', '--directory', machine.store])).code).toBe(0);
  });

  it('takes the days from the conf', async () => {
    const machine = await backedUp();
    machine.writeConf('[directory]\npath = ../store\n[content]\ndays_retained = 100\n');
    const { code, stdout } = await run(['renew', '--conf-dir', machine.confDir]);
    expect(code).toBe(0);
    expect(stdout).toContain('4 extended');
  });

  it('exits with 10 where there is nothing', async () => {
    const machine = new Machine();
    const { code, stderr } = await run(['renew', '--directory', machine.folder]);
    expect(code).toBe(10);
    expect(stderr).toContain('there is no run');
  });
});
