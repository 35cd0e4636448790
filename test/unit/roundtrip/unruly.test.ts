import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FileEntry, ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import { restore } from '#src/restore/restore.js';
import { restoreSnapshots } from '#src/restore/snapshots.js';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';
import { asRoot, findProgram } from '../../kit/programs.js';

const MIB = 2 ** 20;

async function restoredTree(machine: BackupMachine, { summary }: RunResult): Promise<string> {
  const run = summary.manifest ?? { key: '', version: '' };
  const target = join(machine.folder, 'target');
  const done = await restore({ store: machine.store, run, target, spoolFolder: machine.folder });
  expect(done).toMatchObject({ failed: 0, problemCounts: { failure: 0 } });
  return join(target, machine.tree);
}

/** A shell script that runs beside the test until it is told to end. */
async function beside(script: string): Promise<{ end(): Promise<void> }> {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    async end() {
      child.kill('SIGKILL');
      child.stdin.end();
      await exited;
    },
  };
}

function problemLines(lines: readonly ManifestLine[]): ManifestLine[] {
  return lines.filter(({ typ }) => typ === 'problem');
}

describe('a file that', () => {
  it('grows while it is read says so in its line, comes back with the SHA-256 that this names, and is read again', async () => {
    const machine = new BackupMachine();
    const path = machine.write('log', Buffer.alloc(8 * MIB, 'a line of a log\n'));
    const writer = await beside(`echo started; while :; do echo more >>'${path}'; done`);
    const run = await machine.archive().finally(() => writer.end());
    const entry = (await machine.entries(run.summary)).get('log') as FileEntry;
    expect(entry).toMatchObject({ w: ['changed-while-reading'] });
    expect(entry.size).toBeGreaterThanOrEqual(8 * MIB);
    expect(run.summary).toMatchObject({
      outcome: 'complete',
      warnings: { 'changed-while-reading': 1, 'unlocked-copy': 0 },
    });
    expect(run.problems).toMatchObject([{ severity: 'note', code: 'changed-while-reading', path }]);
    expect(problemLines(await machine.lines(run.summary))).toHaveLength(1);
    const back = readFileSync(join(await restoredTree(machine, run), 'log'));
    expect(back.length).toBe(entry.size);
    expect(back.equals(readFileSync(path).subarray(0, entry.size))).toBe(true);
    const next = await machine.archive();
    const now = (await machine.entries(next.summary)).get('log') as FileEntry;
    expect(now.w).toBeUndefined();
    expect(now.size).toBe(statSync(path).size);
  });

  it.skipIf(findProgram('flock') === undefined)(
    'another process has locked is copied without the lock, and its line says so (needs flock)',
    async () => {
      const machine = new BackupMachine();
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, lockTimeout: 0.2 } };
      const path = machine.write('database', 'held by another');
      machine.write('free', 'not held');
      const holder = await beside(`exec flock --no-fork -x '${path}' sh -c 'echo held; read line'`);
      const run = await machine.archive().finally(() => holder.end());
      const entries = await machine.entries(run.summary);
      expect(entries.get('database')).toMatchObject({ w: ['unlocked-copy'] });
      expect(entries.get('free')).not.toHaveProperty('w');
      expect(run.summary).toMatchObject({ outcome: 'complete', warnings: { 'unlocked-copy': 1 } });
      expect(run.problems).toMatchObject([{ severity: 'note', code: 'unlocked-copy', path }]);
      expect(readFileSync(join(await restoredTree(machine, run), 'database'), 'utf8')).toBe(
        'held by another',
      );
      // Nothing has changed but that the lock can be had now.
      const next = await machine.archive();
      expect(next.summary).toMatchObject({ read: { files: 1 }, warnings: { 'unlocked-copy': 0 } });
      expect((await machine.entries(next.summary)).get('database')).not.toHaveProperty('w');
    },
  );

  it('vanishes between picking and reading is noted, and is no failure', async () => {
    const machine = new BackupMachine();
    for (const name of ['stays', 'goes', 'stays too']) machine.write(name, `content of ${name}`);
    const run = await machine.archive({
      onEvent: (event) => {
        if (event.type !== 'phase' || event.phase !== 'content') return;
        rmSync(join(machine.tree, 'goes'));
      },
    });
    expect(run.summary).toMatchObject({ outcome: 'complete', counts: { f: 2, problems: 0, notes: 1 } });
    expect(problemLines(await machine.lines(run.summary))).toMatchObject([
      { severity: 'note', code: 'vanished', path: join(machine.tree, 'goes') },
    ]);
    const back = await restoredTree(machine, run);
    expect(readFileSync(join(back, 'stays'), 'utf8')).toBe('content of stays');
  });

  it('is cut short between picking and reading comes back as short as it is', async () => {
    const machine = new BackupMachine();
    const path = machine.write('cut', Buffer.alloc(MIB, 'x'));
    const run = await machine.archive({
      onEvent: (event) => {
        if (event.type === 'phase' && event.phase === 'content') truncateSync(path, 1000);
      },
    });
    const entry = (await machine.entries(run.summary)).get('cut') as FileEntry;
    expect(entry.size).toBe(1000);
    expect(readFileSync(join(await restoredTree(machine, run), 'cut'))).toEqual(Buffer.alloc(1000, 'x'));
  });
});

describe('a picker that', () => {
  it('hangs, fails, or prints what is no path costs its own rest, and the others are taken', async () => {
    const machine = new BackupMachine();
    // Long enough for the others on any machine, and waited for once.
    machine.settings = { ...machine.settings, programs: { timeout: 5, allowEmpty: [] } };
    for (const name of ['before hanging', 'before failing', 'around nonsense', 'good'])
      machine.write(name, name);
    const { tree } = machine;
    machine.picker('tree', `echo '${tree}/good'`);
    machine.picker('hangs', `echo '${tree}/before hanging'; exec sleep 60`);
    machine.picker('fails', `echo '${tree}/before failing'; echo the reason >&2; exit 7`);
    machine.picker(
      'prints-nonsense',
      `echo relative/path; head -c 70000 /dev/zero | tr '\\0' x; echo; echo '/${'y'.repeat(65_600)}'; ` +
        `echo '${tree}/not/there'; echo '${tree}/around nonsense'`,
    );
    const run = await machine.archive();
    expect(run.summary.outcome).toBe('broken');
    const lines = problemLines(await machine.lines(run.summary));
    expect(new Set(lines.map((line) => ('source' in line ? line.source : undefined)))).toEqual(
      new Set(['hangs', 'fails', 'prints-nonsense']),
    );
    const messages = lines.map((line) => ('message' in line ? line.message : '')).join('\n');
    expect(messages).toContain('the reason');
    for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(10_000);
    const back = await restoredTree(machine, run);
    for (const name of ['before hanging', 'before failing', 'around nonsense', 'good'])
      expect(readFileSync(join(back, name), 'utf8')).toBe(name);
  });
});

describe('snapshotters of each kind', () => {
  it('come back byte for byte, with what they said of themselves', async () => {
    const machine = new BackupMachine();
    machine.write('packed', 'in the tar');
    const wanted = new Map<string, string>();
    const snapshotter = (name: string, script: string, output: string): void => {
      machine.snapshotter(name, script);
      wanted.set(name, output);
    };
    snapshotter('to-descriptor', 'printf one >&$1; printf two >&$1', 'onetwo');
    snapshotter('to-path', 'printf path >/dev/fd/$1', 'path');
    snapshotter(
      'seeks',
      'printf 0123456789 >&$1; printf XY | dd of=/dev/fd/$1 bs=1 seek=3 conv=notrunc 2>/dev/null',
      '012XY56789',
    );
    snapshotter('bytes', `printf '\\377\\000\\n' >&$1`, '\xff\0\n');
    machine.settings = { ...machine.settings, programs: { timeout: undefined, allowEmpty: ['nothing'] } };
    snapshotter('nothing', 'true', '');
    snapshotter('ends-long', 'head -c 300000 /dev/zero >&$1', '\0'.repeat(300_000));
    snapshotter(
      'talks',
      'printf x >&$1; echo "Größe: 日本"; echo "::restore-through:: psql \'ä\' | cat"; echo more',
      'x',
    );
    if (asRoot && findProgram('setpriv') !== undefined)
      snapshotter(
        'as-nobody',
        'exec setpriv --reuid=65534 --clear-groups sh -c "printf nobody >&$1"',
        'nobody',
      );
    machine.snapshotter('tars', `tar cf /dev/fd/$1 -C '${machine.tree}' packed`);
    machine.snapshotter('fails', 'printf half >&$1; exit 1');
    writeFileSync(join(machine.confDir, 'snapshots.d', 'readme'), 'not executable');

    const run = await machine.archive();
    expect(run.summary).toMatchObject({ outcome: 'partial', counts: { s: wanted.size + 1 } });
    const lines = await machine.lines(run.summary);
    expect(
      problemLines(lines).filter((line) => 'severity' in line && line.severity === 'failure'),
    ).toMatchObject([{ code: 'snapshotter-failed', source: 'fails' }]);
    const entries = new Map(
      lines.filter((line): line is SnapshotEntry => line.typ === 's').map((entry) => [entry.name, entry]),
    );
    expect(entries.has('fails')).toBe(false);
    expect(entries.get('talks')).toMatchObject({
      description: 'Größe: 日本\nmore',
      restore_through: "psql 'ä' | cat",
    });

    const into = join(machine.folder, 'snapshots');
    const { restored, problems } = await restoreSnapshots({
      store: machine.store,
      run: run.summary.manifest ?? { key: '', version: '' },
      into,
      spoolFolder: machine.folder,
    });
    expect(problems).toEqual([]);
    expect(restored.length).toBe(wanted.size + 1);
    for (const [name, output] of wanted)
      expect(readFileSync(join(into, name), 'latin1') === output, name).toBe(true);
    expect(readFileSync(join(into, 'tars')).includes('in the tar')).toBe(true);
  });
});
