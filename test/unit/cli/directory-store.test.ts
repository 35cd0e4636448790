import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram } from '../../kit/built-program.js';
import { BEFORE_MARKER, CONTENTS_BEFORE_MARKER, unpackBeforeMarker } from '../../kit/store-before-marker.js';
import { Command, type Ended, jsonLines, MAIN, Machine, run } from './command.js';

// A directory that is not the store that it was: its disk is not mounted, or another one is.

const MARKER = 's3-sysbackup-store.json';
const isRoot = process.getuid?.() === 0;

function machineWithData(): Machine {
  const machine = new Machine();
  machine.pickData();
  writeFileSync(join(machine.data, 'letter'), 'dear reader');
  return machine;
}

/** A machine that has stored into its directory once. */
async function storedMachine(): Promise<Machine> {
  const machine = machineWithData();
  expect(await machine.archive()).toMatchObject({ code: 0 });
  return machine;
}

function everything(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

function idOf(store: string): string {
  return (JSON.parse(readFileSync(join(store, MARKER), 'utf8')) as { id: string }).id;
}

/** Takes the store away, as unmounting its disk does; what is left there is a folder, or nothing. */
function unmount(machine: Machine, name: string, left: 'mount point' | 'nothing' = 'mount point'): void {
  renameSync(machine.store, join(machine.folder, name));
  if (left === 'mount point') mkdirSync(machine.store);
}

function mount(machine: Machine, name: string): void {
  if (existsSync(machine.store)) rmdirSync(machine.store);
  renameSync(join(machine.folder, name), machine.store);
}

function checkConfig(machine: Machine): Promise<Ended> {
  return run(['check-config', '--conf-dir', machine.confDir, '--connect']);
}

/** A run, a dry run and check-config, which must agree. They change nothing, so that they may run at once. */
function asked(machine: Machine, ...args: string[]): Promise<Ended[]> {
  return Promise.all([machine.archive(...args), machine.archive('--dry-run', ...args), checkConfig(machine)]);
}

async function storeSection(machine: Machine): Promise<Record<string, { value: unknown }>> {
  const { code, stdout } = await run(['check-config', '--conf-dir', machine.confDir, '--connect', '--json']);
  expect(code).toBe(0);
  return (JSON.parse(stdout) as { store: Record<string, { value: unknown }> }).store;
}

/** What a hint asks to type, typed into a shell in which the program has its name. */
async function typed(stderr: string, machine: Machine): Promise<void> {
  const [, command] = /^hint: .*once: (s3-sysbackup .*)$/m.exec(stderr) ?? [];
  expect(command, stderr).toBeDefined();
  const bin = join(machine.folder, 'bin');
  if (!existsSync(bin)) {
    mkdirSync(bin);
    const script = `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`;
    writeFileSync(join(bin, 's3-sysbackup'), script, { mode: 0o755 });
  }
  const env = { PATH: `${bin}:${process.env['PATH']}` };
  await promisify(execFile)('sh', ['-c', command ?? 'false'], { env });
}

async function summaryOf(ended: Promise<Ended>): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ended;
  expect(code, stderr).toBe(0);
  return jsonLines(stdout).at(-1) ?? {};
}

describe('a backup disk that is not mounted', () => {
  it.each(['mount point', 'nothing'] as const)('is refused, and nothing is made (left: %s)', async (left) => {
    const machine = await storedMachine();
    const id = idOf(machine.store);
    unmount(machine, 'disk', left);
    const before = everything(machine.folder);
    for (const ended of await asked(machine)) {
      expect(ended.code).toBe(10);
      expect(ended.stderr).toContain(
        `there is no store in ${machine.store}, where this machine has stored before`,
      );
    }
    expect(everything(machine.folder)).toEqual(before);
    const expired = await run(['expire', '--directory', machine.store]);
    expect(expired.code).toBe(10);
    mount(machine, 'disk');
    expect(await summaryOf(machine.archive('--json'))).toMatchObject({ read: { files: 0 } });
    expect(idOf(machine.store)).toBe(id);
  });

  it('is the end of a run under way, which stores nothing beside it', async () => {
    const machine = await storedMachine();
    writeFileSync(join(machine.data, 'letter'), 'another letter');
    machine.picker(
      '20-unmount',
      `mv '${machine.store}' '${machine.folder}/disk' && mkdir '${machine.store}' && echo '${machine.data}'`,
    );
    const ended = await machine.archive();
    expect(ended.code).toBe(10);
    expect(ended.stderr).toContain(`${machine.store} is no longer the store that it was`);
    expect(readdirSync(machine.store)).toEqual([]);
  });

  it('is refused where the path is a link into it', async () => {
    const machine = machineWithData();
    const disk = join(machine.folder, 'disk');
    mkdirSync(disk);
    symlinkSync(join(disk, 'store'), machine.store);
    expect(await machine.archive()).toMatchObject({ code: 0, stderr: `made a new store in ${disk}/store\n` });
    renameSync(disk, join(machine.folder, 'away'));
    mkdirSync(disk);
    expect(await machine.archive()).toMatchObject({ code: 10 });
    expect(readdirSync(disk)).toEqual([]);
  });

  it('gives way to a new store where the person types what the refusal says, once', async () => {
    const machine = await storedMachine();
    const id = idOf(machine.store);
    unmount(machine, 'disk');
    const refused = await machine.archive('--name', "it's mine");
    expect(refused.code).toBe(10);
    await typed(refused.stderr, machine);
    expect(idOf(machine.store)).not.toBe(id);
    expect(await machine.archive('--name', "it's mine")).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('two disks in turn', () => {
  it('are each a store with a catalog of its own, once the second was accepted', async () => {
    const machine = await storedMachine();
    unmount(machine, 'one');
    const refused = await checkConfig(machine);
    expect(refused.code).toBe(10);
    await typed(refused.stderr, machine);
    for (const [away, here] of [
      ['two', 'one'],
      ['one', 'two'],
      ['two', 'one'],
    ] as const) {
      unmount(machine, away);
      mount(machine, here);
      const summary = await summaryOf(machine.archive('--json'));
      expect(summary).toMatchObject({ read: { files: 0 }, stored: { objects: 0 } });
    }
  });

  it('of which the second is the store of another machine: refused until it is accepted', async () => {
    const [machine, other] = [await storedMachine(), await storedMachine()];
    unmount(machine, 'own', 'nothing');
    renameSync(other.store, machine.store);
    const before = everything(machine.store);
    for (const ended of await asked(machine)) {
      expect(ended.code).toBe(10);
      expect(ended.stderr).toContain(`is another store (${idOf(machine.store)})`);
    }
    expect(everything(machine.store)).toEqual(before);
    await typed((await machine.archive()).stderr, machine);
    expect(await machine.archive()).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a directory that is no store yet', () => {
  it('is made where its parent is there, which one line says, and a dry run makes nothing', async () => {
    const machine = machineWithData();
    const before = everything(machine.folder);
    expect(await storeSection(machine)).toMatchObject({
      directory: { value: 'no store yet: archive makes one' },
      reachable: { value: false },
    });
    const dry = await machine.archive('--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.stderr).toContain(`there is no store in ${machine.store} yet`);
    expect(everything(machine.folder)).toEqual(before);
    expect(await machine.archive()).toMatchObject({
      code: 0,
      stderr: `made a new store in ${machine.store}\n`,
    });
    expect(await storeSection(machine)).toMatchObject({
      directory: { value: `store ${idOf(machine.store)}, known` },
      reachable: { value: true },
    });
  });

  it('is refused where its parent is not there, until the person types what the refusal says', async () => {
    const machine = machineWithData();
    const store = join(machine.folder, 'mispelt', 'store');
    machine.writeConf('[directory]\npath = ../mispelt/store\n[state]\npath = ../state\n');
    for (const ended of await asked(machine)) {
      expect(ended.code).toBe(10);
      expect(ended.stderr).toContain(`there is no directory ${machine.folder}/mispelt`);
    }
    expect(existsSync(join(machine.folder, 'mispelt'))).toBe(false);
    await typed((await machine.archive()).stderr, machine);
    expect(idOf(store)).toMatch(/^[0-9a-f]{32}$/);
    expect(await machine.archive()).toMatchObject({ code: 0, stderr: '' });
  });

  it('is one store for machines that make it at one moment, and is known to each', async () => {
    const machines = Array.from({ length: 4 }, () => machineWithData());
    const store = machines[0]?.store ?? '';
    const names = machines.map((machine, index) => {
      machine.writeConf(`[directory]\npath = ${store}\n[state]\npath = ../state\n`);
      return `machine-${index}`;
    });
    const archive = (): Promise<Ended[]> =>
      Promise.all(
        machines.map(
          ({ confDir }, index) =>
            new Command(['archive', '--conf-dir', confDir, '--name', names[index] ?? '']).ended,
        ),
      );
    for (const ended of await archive()) expect(ended, ended.stderr).toMatchObject({ code: 0 });
    for (const ended of await archive()) expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const { folder } of machines) {
      const known = readdirSync(join(folder, 'state', 'stores'));
      expect(known.map((name) => name.split('-')[0])).toEqual([idOf(store)]);
    }
  });

  it('is made by write-config, and taken then, also beside a store that the machine knows', async () => {
    const machine = machineWithData();
    // As root it would make the user that backs up.
    if (isRoot) execFileSync('chown', ['-R', '34:34', machine.folder]);
    const wrapper = isRoot ? ['setpriv', '--reuid=34', '--regid=34', '--clear-groups'] : [];
    const store = join(machine.folder, 'a', 'b', 'store');
    const conf = ['--conf-dir', machine.confDir];
    const make = ['write-config', ...conf, '--no-systemd-unit', '--directory', store];
    const archive = (): Promise<Ended> => runProgram(['archive', ...conf], { wrapper, cwd: '/' });
    const shown = await runProgram([...make, '--dry-run'], { wrapper, cwd: '/' });
    expect(shown.stdout).toMatch(/^store .*\/a\/b\/store with its marker file$/m);
    expect(existsSync(join(machine.folder, 'a'))).toBe(false);
    expect(await runProgram(make, { wrapper, cwd: '/' })).toMatchObject({ code: 0 });
    const id = idOf(store);
    expect(await archive()).toMatchObject({ code: 0, stderr: '' });
    renameSync(store, join(machine.folder, 'disk'));
    expect(await archive()).toMatchObject({ code: 10 });
    expect(await runProgram(make, { wrapper, cwd: '/' })).toMatchObject({ code: 0 });
    expect(idOf(store)).not.toBe(id);
    expect(await archive()).toMatchObject({ code: 0, stderr: '' });
  });

  it('is nothing for a bucket: --create-store is refused there', async () => {
    const machine = machineWithData();
    machine.writeConf('[s3]\nbucket = locked\n[state]\npath = ../state\n');
    const ended = await machine.archive('--create-store');
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('--create-store is for a directory');
  });
});

describe('a store made by an earlier version, without a marker', () => {
  /** A machine that has stored the fixture's run, and has the same contents in other files. */
  function machineOfBefore(): { machine: Machine; store: string } {
    const machine = new Machine('[content]\nbundle_below = 2K\n');
    machine.pickData();
    for (const [index, text] of CONTENTS_BEFORE_MARKER.entries())
      writeFileSync(join(machine.data, `file${index}`), text);
    return { machine, store: unpackBeforeMarker(machine.folder).store };
  }

  const archive = (machine: Machine, ...args: string[]): Promise<Ended> =>
    machine.archive('--name', BEFORE_MARKER, ...args);

  it('gets one, and its catalog goes on: nothing is stored again', async () => {
    const { machine, store } = machineOfBefore();
    expect(await storeSection(machine)).toMatchObject({
      directory: { value: 'a store made by an earlier version: archive gives it a marker' },
      reachable: { value: true },
    });
    const before = everything(machine.folder);
    const looked = await archive(machine, '--dry-run');
    expect(looked).toMatchObject({ code: 0, stderr: '' });
    expect(everything(machine.folder)).toEqual(before);
    const { code, stdout, stderr } = await archive(machine, '--json');
    expect(code, stderr).toBe(0);
    const lines = jsonLines(stdout);
    expect(lines.at(-1)).toMatchObject({ stored: { objects: 0 }, counts: { f: 4 } });
    const logs = lines.filter(({ type }) => type === 'log');
    expect(logs).toMatchObject([{ level: 'info', message: expect.stringContaining(join(store, MARKER)) }]);
    expect(await archive(machine)).toMatchObject({ code: 0, stderr: '' });
    unmount(machine, 'disk');
    expect(await archive(machine)).toMatchObject({ code: 10 });
  });

  it('is what the machine knows, so that its disk is missed before it had a marker', async () => {
    const { machine } = machineOfBefore();
    unmount(machine, 'disk');
    for (const ended of await asked(machine, '--name', BEFORE_MARKER))
      expect(ended).toMatchObject({ code: 10 });
    expect(readdirSync(machine.store)).toEqual([]);
  });

  it('is never a matter for a person, also beside a known one; the catalog waits for its own store', async () => {
    const { machine, store } = machineOfBefore();
    // Another such disk is mounted first: one without this machine's last manifest.
    renameSync(store, join(machine.folder, 'one'));
    execFileSync('cp', ['-a', join(machine.folder, 'one'), store]);
    execFileSync('rm', ['-r', join(store, 'manifests', BEFORE_MARKER), join(store, 'bundles')]);
    expect(await summaryOf(archive(machine, '--json'))).toMatchObject({ stored: { objects: 1 } });
    unmount(machine, 'two', 'nothing');
    mount(machine, 'one');
    expect(await summaryOf(archive(machine, '--json'))).toMatchObject({ stored: { objects: 0 } });
    unmount(machine, 'one', 'nothing');
    mount(machine, 'two');
    expect(await summaryOf(archive(machine, '--json'))).toMatchObject({ read: { files: 0 } });
  });

  it('that another machine gave its marker is taken by who has stored there, also beside a known one', async () => {
    const { machine, store } = machineOfBefore();
    renameSync(store, join(machine.folder, 'one'));
    expect((await archive(machine)).code).toBe(10);
    expect(await archive(machine, '--create-store')).toMatchObject({ code: 0 });
    unmount(machine, 'two', 'nothing');
    mount(machine, 'one');
    writeFileSync(join(store, MARKER), JSON.stringify({ id: '0123456789abcdef'.repeat(2) }));
    expect(await summaryOf(archive(machine, '--json'))).toMatchObject({ stored: { objects: 0 } });
  });

  it('is listed, verified and restored as it is, without a marker', async () => {
    const { machine, store } = machineOfBefore();
    const before = everything(store);
    for (const args of [
      ['list'],
      ['verify', '--read-data'],
      ['restore', '--target', join(machine.folder, 'back')],
    ])
      expect((await run([...args, '--directory', store])).code, args[0]).toBe(0);
    expect(readFileSync(join(machine.folder, 'back/tmp/before-marker/src/small1'), 'utf8')).toBe(
      CONTENTS_BEFORE_MARKER[0],
    );
    expect(everything(store)).toEqual(before);
  });

  it.skipIf(!isRoot)(
    'that cannot be written is refused with the path, and restores (root: mounts it read-only)',
    async () => {
      const { machine, store } = machineOfBefore();
      execFileSync('mount', ['--bind', store, store]);
      onTestFinished(() => void execFileSync('umount', [store]));
      execFileSync('mount', ['-o', 'remount,bind,ro', store]);
      for (const ended of await asked(machine, '--name', BEFORE_MARKER)) {
        expect(ended.code).toBe(1);
        expect(ended.stderr).toContain(`${join(store, MARKER)} cannot be written`);
      }
      expect(readdirSync(join(machine.folder, 'state', 'stores'))).toEqual([]);
      const restored = await run(['restore', '--directory', store, '--target', join(machine.folder, 'back')]);
      expect(restored.code).toBe(0);
    },
  );

  it('that is damaged is given another marker', async () => {
    const machine = await storedMachine();
    chmodSync(join(machine.store, MARKER), 0o600);
    writeFileSync(join(machine.store, MARKER), '');
    const ended = await machine.archive();
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('had a damaged marker');
    expect(idOf(machine.store)).toMatch(/^[0-9a-f]{32}$/);
    expect(await machine.archive()).toMatchObject({ code: 0, stderr: '' });
  });
});
