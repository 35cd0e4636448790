import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { changeSidecar } from '../../kit/change-sidecar.js';
import { type Ended, Machine, run } from './command.js';

const DAY_MS = 86_400_000;

interface Listed {
  name: string;
  run: string;
  received: string;
  outcome: string;
  ahead: boolean;
  lastComplete: string | null;
  sinceComplete: number;
}

async function listed(machine: Machine): Promise<Listed[]> {
  return JSON.parse((await run(['list', '--directory', machine.store, '--json'])).stdout) as Listed[];
}

/** The store has received this run so much later, or earlier, as a clock that was wrong makes it. */
function moveReceipt(machine: Machine, id: string, byMs: number): void {
  const folder = join(machine.store, 'retention/manifests');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.includes(`${id}.`)) continue;
    changeSidecar(join(folder, name), ({ received }) => ({ received: received + byMs }));
  }
}

/** Two runs whose file says `first` and `second`. */
async function twoRuns(): Promise<{ machine: Machine; file: string; ids: string[] }> {
  const machine = new Machine();
  machine.pickData();
  const file = join(machine.data, 'file');
  for (const text of ['first', 'second']) {
    writeFileSync(file, text);
    expect((await machine.archive()).code).toBe(0);
    // Ids of one second may differ in their last digit only.
    const second = Math.floor(Date.now() / 1000);
    while (Math.floor(Date.now() / 1000) === second) await setTimeout(10);
  }
  return { machine, file, ids: (await listed(machine)).map(({ run }) => run) };
}

describe('latest under a conf', () => {
  it('means the only backup there is where the host has another name, and is ambiguous where there are several', async () => {
    const machine = new Machine();
    machine.pickData();
    writeFileSync(join(machine.data, 'file'), 'content');
    const codes = async (conf: string): Promise<(number | null)[]> => {
      machine.writeConf(conf);
      const today = new Date().toISOString().slice(0, 10);
      const texts = ['latest', 'latest~0', today, '20'];
      const ended = await Promise.all(texts.map((text) => run(['ls', text, '--conf-dir', machine.confDir])));
      return ended.map(({ code }) => code);
    };
    const conf = readFileSync(join(machine.confDir, 'conf'), 'utf8');
    await machine.archive('--name', 'of-another-host');
    expect(await codes(conf)).toEqual([0, 0, 0, 0]);
    // A name that somebody chose is the one that is meant.
    expect(await codes(`${conf}[backup]\nname = chosen\n`)).toEqual([10, 10, 10, 10]);
    machine.writeConf(conf);
    await machine.archive('--name', 'of-a-third');
    expect(await codes(conf)).toEqual([2, 2, 2, 2]);
    machine.writeConf(conf);
    await machine.archive();
    expect(await codes(conf)).toEqual([0, 0, 0, 0]);
  });
});

describe('RUN on the command line', () => {
  it('is latest~1, a date, the beginning of an id, and NAME/ before them', async () => {
    const { machine, file, ids } = await twoRuns();
    const [first = '', second = ''] = ids;
    moveReceipt(machine, first, -DAY_MS);
    const [{ name, received }] = (await listed(machine)) as [Listed];
    const cat = (text: string): Promise<Ended> => run(['cat', text, file, '--conf-dir', machine.confDir]);
    for (const text of [
      'latest~1',
      received.slice(0, 10),
      `${name}/latest~1`,
      `${name}/${first.slice(0, -1)}`,
    ])
      expect(await cat(text), text).toMatchObject({ code: 0, stdout: 'first' });
    for (const text of ['latest', name, second, second.slice(0, -1)])
      expect(await cat(text), text).toMatchObject({ code: 0, stdout: 'second' });
    const several = await cat(second.slice(0, 2));
    expect(several).toMatchObject({ code: 2, stdout: '' });
    for (const id of ids) expect(several.stderr).toContain(id);
    const diff = await run(['diff', 'latest~1', 'latest', '--directory', machine.store]);
    expect(diff.stdout).toContain(`~ ${file}`);
    const verified = await run([
      'verify',
      '--read-data',
      received.slice(0, 10),
      '--directory',
      machine.store,
    ]);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('1 run names') });
    // A name that is none is no date either.
    expect(await run(['list', '--name', received.slice(0, 10), '--directory', machine.store])).toMatchObject({
      code: 10,
      stdout: '',
    });
  });

  it.each(['restore', 'ls', 'cat', 'diff', 'verify'])('is explained in the help of %s', async (command) => {
    const { stdout } = await run([command, '--help']);
    expect(stdout).toContain('latest~2');
    expect(stdout).toContain('2026-11-20');
  });
});

describe('a run that is ahead of now', () => {
  it('is passed over by all who want the newest, and shown by list', async () => {
    const { machine, file, ids } = await twoRuns();
    const [first = '', second = ''] = ids;
    moveReceipt(machine, second, 3650 * DAY_MS);
    const conf = ['--conf-dir', machine.confDir];
    expect((await listed(machine)).map(({ run, ahead }) => [run, ahead])).toEqual([
      [first, false],
      [second, true],
    ]);
    expect((await run(['list', ...conf])).stderr).toContain(`${second} of 20`);
    const cat = await run(['cat', 'latest', file, ...conf]);
    expect(cat).toMatchObject({ code: 0, stdout: 'first' });
    expect(cat.stderr).toContain('passed over the run');
    const target = join(machine.folder, 'back');
    expect((await run(['restore', ...conf, '--target', target])).code).toBe(0);
    expect(readFileSync(join(target, file), 'utf8')).toBe('first');
    const rebuilt = await run(['rebuild-catalog', ...conf, '--yes', '--json']);
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({ run: first });
    expect((await run(['cat', second, file, ...conf])).stdout).toBe('second');
    // Where no other is left, it is this machine's clock that is doubted.
    moveReceipt(machine, first, 3649 * DAY_MS);
    const all = await run(['cat', 'latest', file, ...conf]);
    expect(all).toMatchObject({ code: 0, stdout: 'second', stderr: expect.stringContaining('may be wrong') });
  });
});

describe('list', () => {
  it('says since when a backup has no complete run, and how many runs that are', async () => {
    const { machine, ids } = await twoRuns();
    const [first = '', second = ''] = ids;
    machine.picker('20-more', 'echo /not/there');
    for (let nth = 0; nth < 2; nth++) expect((await machine.archive()).code).toBe(3);
    for (const id of [first, second]) moveReceipt(machine, id, -DAY_MS);
    const list = async () => await run(['list', '--directory', machine.store]);
    expect((await list()).stderr).toMatch(/: the last complete run is of .*, with 2 runs after it\n$/);
    expect((await list()).stderr).not.toContain('warning');
    for (const { lastComplete, sinceComplete } of await listed(machine)) {
      expect(sinceComplete).toBe(2);
      expect(lastComplete?.slice(0, 19).replaceAll(/[-:]/g, '')).toBe(second.slice(0, 15));
    }
  });
});

describe('expire', () => {
  it("takes the conf's store, and refuses one that is a bucket", async () => {
    const { machine, ids } = await twoRuns();
    const conf = ['--conf-dir', machine.confDir];
    expect(await run(['expire', ...conf])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^removed 0 manifests .*; 2 manifests/),
    });
    expect(ids).toHaveLength(2);
    machine.writeConf('[s3]\nbucket = my-backups\nregion = eu-central-1\n');
    const bucket = await run(['expire', ...conf]);
    expect(bucket).toMatchObject({ code: 2, stdout: '' });
    expect(bucket.stderr).toContain('lifecycle');
    // The store that is named counts, whatever the conf says.
    expect((await run(['expire', ...conf, '--directory', machine.store])).code).toBe(0);
    rmSync(join(machine.confDir, 'conf'));
    const none = await run(['expire', ...conf]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--directory') });
  });
});
