import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pastTheTick } from '../../kit/backup-machine.js';
import { Command, jsonLines, Machine, MAIN, run } from './command.js';
import { describeTree } from './tree.js';

function manifestsOf(machine: Machine): string[] {
  const folder = join(machine.store, 'manifests');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.jsonl.gz'),
  );
}

/** A picker that says so when it runs, and does not end before it is let go. */
function blockingPicker(machine: Machine): { release: () => void } {
  const fifo = join(machine.folder, 'fifo');
  expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
  machine.picker('00-blocking', `echo waiting >&2; cat '${fifo}'`);
  return { release: () => writeFileSync(fifo, '') };
}

describe('there and back', () => {
  it('archive, list and restore bring everything back as it was', async () => {
    const machine = new Machine();
    machine.pickData();
    machine.snapshotter('db', 'echo all tables; echo "::restore-through:: psql"; echo dump >&$1');
    const { data } = machine;
    mkdirSync(join(data, 'folder'), { mode: 0o2750 });
    writeFileSync(join(data, 'text'), 'text '.repeat(10_000), { mode: 0o640 });
    writeFileSync(join(data, 'empty'), '');
    writeFileSync(Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0xff, 0x0a, 0x2d])]), 'odd name');
    linkSync(join(data, 'text'), join(data, 'folder/same'));
    symlinkSync('../text', join(data, 'folder/link'));
    utimesSync(join(data, 'folder'), 1, 2);

    const archived = await machine.archive();
    expect(archived.stderr).toBe(`made a new store in ${machine.store}\n`);
    expect(archived.code).toBe(0);
    expect(archived.stdout).toContain('is complete');

    const listed = await run(['list', '--directory', machine.store, '--json']);
    expect(listed.code).toBe(0);
    const [backup] = JSON.parse(listed.stdout) as Record<string, unknown>[];
    expect(backup).toMatchObject({ outcome: 'complete', files: 4, problem: null });
    expect(archived.stdout).toContain(String(backup?.['run']));
    expect(Date.parse(String(backup?.['locked_until']))).toBeGreaterThan(Date.now() + 13 * 86_400_000);
    const table = await run(['list', '--conf-dir', machine.confDir]);
    expect(table.stdout.split('\n')).toHaveLength(3);
    expect(table.stdout).toContain(String(backup?.['run']));

    const restored = await run(
      ['restore', '--target', 'back', '--snapshots', 'dumps', '--conf-dir', machine.confDir],
      {
        cwd: machine.folder,
      },
    );
    expect(restored.code).toBe(0);
    expect(restored.stderr).toContain(String(backup?.['run']));
    expect(describeTree(join(machine.folder, 'back', data))).toEqual(describeTree(data));
    expect(readFileSync(join(machine.folder, 'dumps/db'), 'utf8')).toBe('dump\n');
    expect(restored.stdout).toMatch(/not run: psql$/m);
  });

  it('a dry run of restore lists what would be done, and does nothing', async () => {
    const machine = new Machine();
    machine.pickData();
    writeFileSync(join(machine.data, 'one'), 'one');
    await machine.archive();
    const target = join(machine.folder, 'back');
    const args = ['restore', '--directory', machine.store, '--target', target, '--dry-run'];
    const plain = await run(args);
    expect(plain.code).toBe(0);
    expect(plain.stdout).toMatch(new RegExp(`^create +${machine.data}/one`, 'm'));
    const lines = jsonLines((await run([...args, '--json', '--include', 'one'])).stdout);
    const path = lines.find(({ path }) => path === join(machine.data, 'one'));
    expect(path).toMatchObject({ type: 'path', does: 'create', bytes: 3, requests: 1 });
    expect(lines.at(-1)).toMatchObject({ type: 'summary', dryRun: true, selected: { f: 1 } });
    expect(existsSync(target)).toBe(false);
  });
});

describe('archive', () => {
  it('--json prints only lines of JSON, the last one the summary; --log-to gets text with the time', async () => {
    const machine = new Machine();
    machine.pickData();
    machine.picker('20-talks', 'echo "half a\\nline" >&2');
    const log = join(machine.folder, 'log');
    const { code, stdout, stderr } = await machine.archive('--json', '--log-to', log, '--name', 'web1');
    // The second picker printed nothing.
    expect(code).toBe(4);
    expect(stderr).toBe('');
    const lines = jsonLines(stdout);
    expect(lines.at(-1)).toMatchObject({ type: 'summary', backup: 'web1', outcome: 'broken' });
    expect(lines.filter(({ type }) => type === 'problem')).toHaveLength(1);
    const [made, talk] = lines.filter(({ type }) => type === 'log');
    expect(made).toMatchObject({ level: 'info', message: `made a new store in ${machine.store}` });
    expect(talk).toMatchObject({ source: '20-talks' });
    expect(readFileSync(log, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z error +.*20-talks/m);
  });

  it('ends with 3 where the run is partial, and says what is missing', async () => {
    const machine = new Machine();
    machine.pickData();
    machine.snapshotter('db', 'echo no such database >&2; exit 4');
    const { code, stdout, stderr } = await machine.archive();
    expect(code).toBe(3);
    expect(stderr).toMatch(/^warning: .*\bdb\b/m);
    expect(stdout).toContain('is partial');
    expect(manifestsOf(machine)).toEqual([expect.stringContaining('.partial.')]);
    // The newest run is still to be had, and restoring all of it is a success, with a warning.
    const restored = await run([
      'restore',
      '--directory',
      machine.store,
      '--target',
      join(machine.folder, 'back'),
    ]);
    expect(restored.code).toBe(0);
    expect(restored.stderr).toMatch(/^warning: .*partial/m);
  });

  it('of nothing, as no executable says what, is refused: 2, and nothing is stored or remembered', async () => {
    const machine = new Machine();
    writeFileSync(join(machine.confDir, 'pickers.d', 'example'), '#!/bin/sh\nfind /etc\n', { mode: 0o644 });
    for (const args of [[], ['--dry-run']]) {
      const { code, stdout, stderr } = await machine.archive(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('nothing says what to back up: there is no executable in ');
      expect(stderr).toMatch(/^hint: .*chmod \+x.* not executable: pickers\.d\/example\.$/m);
    }
    expect(readdirSync(machine.folder).sort()).toEqual(['conf', 'data']);
    const checked = await run(['check-config', '--conf-dir', machine.confDir]);
    expect(checked.code).toBe(2);
    expect(checked.stderr).toContain('nothing says what to back up');
    // One of either kind is enough.
    machine.snapshotter('db', 'echo dump >&$1');
    expect((await machine.archive()).code).toBe(0);
    expect((await run(['check-config', '--conf-dir', machine.confDir])).stderr).toBe('');
  });

  it('names the first 100 of each kind of problem, and with --json and at --log-level debug all', async () => {
    const machine = new Machine();
    machine.pickData();
    machine.picker('20-typos', 'seq -f /usr/no-such-folder/%.0f 9000; seq 500 >&2');
    expect(spawnSync('mkfifo', [join(machine.data, 'one'), join(machine.data, 'two')]).status).toBe(0);
    const text = await machine.archive();
    expect(text.code).toBe(3);
    const lines = text.stderr.split('\n');
    expect(lines.filter((line) => line.startsWith('warning: 20-typos: /usr/no-such-folder/'))).toHaveLength(
      100,
    );
    expect(lines.filter((line) => /^20-typos: \d+$/.test(line))).toHaveLength(100);
    expect(text.stderr).toMatch(/^warning: .*8,900 more.*missing.*20-typos/m);
    expect(text.stderr).toMatch(/^20-typos: 400 more/m);
    expect(text.stderr).toMatch(/^not backed up: 2 FIFOs, sockets and devices/m);
    expect(text.stdout).toMatch(/^ {2}problems {4}9,000, 100 of each kind/m);
    expect(text.stdout).toMatch(/^ {2}notes {7}2,/m);
    const json = jsonLines((await machine.archive('--json')).stdout);
    expect(json.filter(({ type }) => type === 'problem')).toHaveLength(9002);
    expect(json.at(-1)).toMatchObject({ counts: { problems: 9000, notes: 2 } });
    const debug = await machine.archive('--log-level', 'debug');
    expect(debug.stderr.match(/^warning: 20-typos: \/usr\/no-such-folder\//gm)).toHaveLength(9000);
    expect(debug.stderr).toContain(`${machine.data}/one`);
  });

  it('a dry run stores nothing, and says what the run then does', async () => {
    const machine = new Machine();
    machine.pickData();
    machine.snapshotter('db', 'echo dump >&$1');
    writeFileSync(join(machine.data, 'one'), 'one');
    const { code, stdout } = await machine.archive('--dry-run');
    expect(code).toBe(0);
    expect(stdout).toContain('nothing was stored');
    expect(stdout).toMatch(/^ {2}stores {6}at most 1 new object, 3 B/m);
    expect(stdout).toMatch(/^ {2}snapshots {3}1 program, not run/m);
    expect(stdout).toMatch(/^ {2}price {7}on Amazon's S3 at most \$0\.\d+ .*without snapshots/m);
    const { stdout: json } = await machine.archive('--dry-run', '--json');
    expect(jsonLines(json).at(-1)).toMatchObject({
      estimate: { stored: { objects: 1, bytes: 3 }, snapshots: { programs: 1, lastBytes: 0 } },
    });
    expect(manifestsOf(machine)).toEqual([]);

    const run = await machine.archive();
    expect(run.stdout).toMatch(/^ {2}stored {6}2 new objects/m);
    expect(run.stdout).not.toContain('price');
    const again = await machine.archive('--dry-run', '--json');
    expect(jsonLines(again.stdout).at(-1)).toMatchObject({ estimate: { snapshots: { lastBytes: 5 } } });
  });

  it('a dry run lists what would be stored, and ends with the code that the run would have', async () => {
    const machine = new Machine();
    machine.pickData();
    writeFileSync(join(machine.data, 'old'), 'old');
    writeFileSync(Buffer.concat([Buffer.from(`${machine.data}/odd`), Buffer.from([0xff])]), 'x');
    await pastTheTick();
    await machine.archive();
    writeFileSync(join(machine.data, 'old'), 'changed');
    writeFileSync(join(machine.data, 'fresh'), 'new');
    const text = await machine.archive('--dry-run', '--list');
    expect(text.code).toBe(0);
    const lines = text.stdout.split('\n');
    expect(lines).toContain(`changed  ${machine.data}/old (7 B)`);
    expect(lines).toContain(`new      ${machine.data}/fresh (3 B)`);
    expect(text.stdout).not.toContain('odd');
    expect(text.stdout).toMatch(/^ {2}renews {6}no lock: none is due$/m);
    const json = jsonLines((await machine.archive('--dry-run', '--list', '--json')).stdout);
    const paths = json.filter(({ type }) => type === 'path');
    expect(paths).toContainEqual({
      type: 'path',
      path: `${machine.data}/old`,
      kind: 'f',
      change: 'changed',
      bytes: 7,
    });
    expect(json.at(-1)).toMatchObject({ type: 'summary', renewed: 0, exitCode: 0 });

    machine.picker('20-missing', 'echo /usr/no/such/file');
    expect((await machine.archive('--dry-run')).code).toBe(3);
    machine.picker('30-empty', ':');
    expect((await machine.archive('--dry-run', '--list')).code).toBe(4);
    const wrong = await machine.archive('--list');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^hint: .*archive --dry-run --list/m);
  });

  it('a second one exits with 11 while the first runs, which is not disturbed', async () => {
    const machine = new Machine();
    machine.pickData();
    const { release } = blockingPicker(machine);
    const first = new Command(['archive', '--conf-dir', machine.confDir]);
    await first.says('waiting');
    const second = await machine.archive();
    expect(second.code).toBe(11);
    expect(second.stderr).toContain('another run');
    release();
    // The blocking picker printed nothing.
    expect((await first.ended).code).toBe(4);
    expect(manifestsOf(machine)).toHaveLength(1);
  });

  it.each([
    { signal: 'SIGINT', exitCode: 130 },
    { signal: 'SIGTERM', exitCode: 143 },
  ] as const)(
    '$signal ends it in order: $exitCode, no manifest, no picker left',
    async ({ signal, exitCode }) => {
      const machine = new Machine();
      const pidFile = join(machine.folder, 'pid');
      machine.picker('00-blocking', `echo $$ > '${pidFile}'; echo waiting >&2; sleep 60`);
      const command = new Command(['archive', '--json', '--conf-dir', machine.confDir]);
      await command.says('waiting', 'stdout');
      command.child.kill(signal);
      const { code, stdout, stderr } = await command.ended;
      expect(code).toBe(exitCode);
      expect(stderr).toContain(`stopped by ${signal}`);
      expect(jsonLines(stdout).at(-1)).toMatchObject({ type: 'error', code: 'ABORTED' });
      expect(manifestsOf(machine)).toEqual([]);
      const picker = Number(readFileSync(pidFile, 'utf8'));
      expect(() => process.kill(picker, 0)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
      // The machine's lock is free again.
      machine.picker('00-blocking', `echo '${machine.data}'`);
      expect((await machine.archive()).code).toBe(0);
    },
  );

  it('goes on when nobody reads its output any more', async () => {
    const machine = new Machine();
    machine.pickData();
    const { release } = blockingPicker(machine);
    const command = new Command(['archive', '--json', '--conf-dir', machine.confDir]);
    await command.says('waiting', 'stdout');
    command.child.stdout?.destroy();
    release();
    const { stderr } = await command.ended;
    expect(stderr).toBe('');
    expect(manifestsOf(machine)).toHaveLength(1);
  });
});

describe('restore', () => {
  it('of a run that there is not: 10, and the nearest names', async () => {
    const machine = new Machine();
    machine.pickData();
    await machine.archive('--name', 'web1');
    const target = join(machine.folder, 'back');
    const { code, stderr } = await run(['restore', 'wbe1', '--directory', machine.store, '--target', target]);
    expect(code).toBe(10);
    expect(stderr).toMatch(/^hint: .*web1/m);
    expect(existsSync(target)).toBe(false);
  });

  it('of "latest" where that could be several and no conf says whose: 2, and their names', async () => {
    const machine = new Machine();
    machine.pickData();
    await machine.archive('--name', 'web1');
    await machine.archive('--name', 'web2');
    const { code, stderr } = await run(['restore', '--directory', machine.store, '--target', machine.folder]);
    expect(code).toBe(2);
    expect(stderr).toContain('web1');
    expect(stderr).toContain('web2');
  });

  it('of nothing: 1; with some of it lost: 3, and each path is named', async () => {
    const machine = new Machine();
    machine.pickData();
    for (const name of ['one', 'two']) writeFileSync(join(machine.data, name), name.repeat(1000));
    await machine.archive();
    const restore = ['restore', '--directory', machine.store, '--target', join(machine.folder, 'back')];
    const nothing = await run([...restore, '--include', 'three']);
    expect(nothing.code).toBe(1);
    expect(nothing.stdout).toContain('nothing');
    // What a disk may do to a directory store.
    const content = join(machine.store, 'content');
    const names = readdirSync(content, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /[0-9a-f]{64}$/.test(name),
    );
    expect(names.length).toBeGreaterThan(0);
    spawnSync('chmod', ['0644', join(content, names[0] ?? '')]);
    writeFileSync(join(content, names[0] ?? ''), 'something else');
    const some = await run(restore);
    expect(some.code).toBe(3);
    expect(some.stderr).toMatch(/^warning: .*\/(one|two)/m);
  });

  it('of a store that there is not: 10', async () => {
    const { code } = await run(['restore', '--directory', '/nonexistent', '--target', '/nonexistent/back']);
    expect(code).toBe(10);
  });
});

it('a listing into a pipe that nobody reads ends without a word', async () => {
  const machine = new Machine();
  machine.pickData();
  await machine.archive();
  const list = `'${process.execPath}' '${MAIN}' list --directory '${machine.store}'`;
  const { stderr, stdout } = spawnSync('sh', ['-c', `{ ${list}; echo "rc $?" >&2; } | true`], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(stderr).toBe('rc 0\n');
});

it.skipIf(!existsSync('/dev/full'))('a listing that could not be written whole is no success', async () => {
  const machine = new Machine();
  machine.pickData();
  await machine.archive();
  const list = `'${process.execPath}' '${MAIN}' list --directory '${machine.store}' > /dev/full`;
  const { status, stderr } = spawnSync('sh', ['-c', list], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^s3-sysbackup: cannot write to standard output: .*ENOSPC/);
});
