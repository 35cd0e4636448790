import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pathFromText } from '#src/files/byte-path.js';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, utimensat } from '#src/files/native.js';
import { formatTimeNs, lstat } from '#src/files/stat.js';
import { SECONDS } from '../../kit/edges.js';
import { findProgram } from '../../kit/programs.js';
import { jsonLines, Machine, run } from './command.js';

const SECOND = 1_000_000_000n;
const MEMORY = '/dev/shm';

function setTime(path: string, ns: bigint): void {
  const times = Buffer.alloc(32);
  const fraction = ((ns % SECOND) + SECOND) % SECOND;
  for (const at of [0, 16]) {
    times.writeBigInt64LE((ns - fraction) / SECOND, at);
    times.writeBigInt64LE(fraction, at + 8);
  }
  utimensat(AT_FDCWD, Buffer.from(`${path}\0`), times, AT_SYMLINK_NOFOLLOW);
}

function timeOf(path: string): bigint {
  const stat = lstat(pathFromText(path));
  return typeof stat === 'string' ? expect.fail(`${path}: ${stat}`) : stat.mtimeNs;
}

function folderInMemory(): string {
  const folder = mkdtempSync(join(MEMORY, 's3-sysbackup-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Whether a file there can have any second of 64 bits, as on tmpfs, btrfs and XFS. */
function keepsAnySecond(): boolean {
  try {
    const folder = mkdtempSync(join(MEMORY, 's3-sysbackup-test-'));
    try {
      setTime(folder, (2n ** 63n - 1n) * SECOND);
      return timeOf(folder) === (2n ** 63n - 1n) * SECOND;
    } finally {
      rmSync(folder, { recursive: true });
    }
  } catch {
    return false;
  }
}

const canKeep = keepsAnySecond();
const TIMES = SECONDS.flatMap((second) => [second * SECOND, second * SECOND + 500_000_001n]);

/** Files, a folder and a symlink with odd times, by name. */
function plant(tree: string): Map<string, bigint> {
  mkdirSync(join(tree, 'folder'));
  symlinkSync('nowhere', join(tree, 'link'));
  for (const [index, time] of TIMES.entries()) {
    writeFileSync(join(tree, `file ${index}`), `${index}`);
    setTime(join(tree, `file ${index}`), time);
  }
  setTime(join(tree, 'link'), (2n ** 63n - 1n) * SECOND);
  setTime(join(tree, 'folder'), -(2n ** 63n) * SECOND);
  return timesIn(tree);
}

function timesIn(tree: string): Map<string, bigint> {
  const names = ['folder', 'link', ...TIMES.map((_, index) => `file ${index}`)];
  return new Map(names.map((name) => [name, timeOf(join(tree, name))]));
}

describe.skipIf(!canKeep)(`any second of 64 bits (wants a ${MEMORY} that keeps it)`, () => {
  it('is stored, shown and comes back: restore, tar, ls, JSON, and a second run', async () => {
    const machine = new Machine();
    const tree = folderInMemory();
    const wanted = plant(tree);
    expect(wanted.get('file 12')).toBe(10n ** 12n * SECOND);
    machine.picker('10-tree', `find '${tree}' -print0`);
    expect(await machine.archive()).toMatchObject({ code: 0 });
    const store = ['--directory', machine.store];

    const target = folderInMemory();
    expect(await run(['restore', ...store, '--target', target, 'latest'])).toMatchObject({ code: 0 });
    expect(timesIn(join(target, tree))).toEqual(wanted);
    // All of it is as it was: nothing is written again.
    const again = await run(['restore', ...store, '--target', target, 'latest', '--json']);
    expect(jsonLines(again.stdout).at(-1)).toMatchObject({ done: { create: 0, replace: 0 } });

    const listed = await run(['ls', ...store, 'latest', tree]);
    expect(listed.code).toBe(0);
    expect(listed.stdout).toContain(' @9223372036854775807 ');
    expect(listed.stdout).toContain(' +033658-09-27 01:46:40 ');
    const entries = jsonLines((await run(['ls', ...store, 'latest', tree, '--json'])).stdout);
    for (const [name, time] of wanted)
      expect(entries).toContainEqual(
        expect.objectContaining({ path: join(tree, name), mt: formatTimeNs(time) }),
      );

    const tar = join(machine.folder, 'all.tar');
    expect(await run(['restore', ...store, '--to-tar', tar, 'latest'])).toMatchObject({ code: 0 });
    for (const program of ['tar', 'bsdtar'].filter((name) => findProgram(name) !== undefined)) {
      const into = folderInMemory();
      execFileSync(program, ['-xpf', tar, '-C', into], { stdio: 'ignore' });
      for (const [name, time] of wanted) {
        // bsdtar has a way of its own with fractions before 1970, and with the least of all seconds.
        const isItsOwn = time < 0n && (time % SECOND !== 0n || time < (1n - 2n ** 63n) * SECOND);
        if (program === 'bsdtar' && isItsOwn) continue;
        expect([program, name, timeOf(join(into, tree, name))]).toEqual([program, name, time]);
      }
    }

    const next = await run(['archive', '--conf-dir', machine.confDir, '--json']);
    expect(jsonLines(next.stdout).at(-1)).toMatchObject({ outcome: 'complete', stored: { objects: 0 } });
    expect(await run(['verify', ...store])).toMatchObject({ code: 0 });
  });

  it('is set by the touch of plain-restore.sh and of format.md', () => {
    const folder = folderInMemory();
    const script =
      /touch -h -d .* -- "\$at"/.exec(readFileSync('examples/plain-restore.sh', 'utf8'))?.[0] ?? '';
    const documented = /^mt=.*\n^touch .*$/m.exec(readFileSync('docs/format.md', 'utf8'))?.[0] ?? '';
    const hasJq = findProgram('jq') !== undefined;
    for (const time of TIMES) {
      const path = join(folder, 'restored');
      // What the file system itself makes of it: at the very ends it has no fractions.
      writeFileSync(path, '');
      setTime(path, time);
      const wanted = timeOf(path);
      const mt = formatTimeNs(time);
      writeFileSync(path, '');
      execFileSync('sh', ['-c', script], { env: { ...process.env, time: mt, at: path } });
      expect([mt, timeOf(path)]).toEqual([mt, wanted]);
      if (!hasJq) continue;
      writeFileSync(path, '');
      writeFileSync(join(folder, 'file.json'), JSON.stringify({ mt }));
      execFileSync('sh', ['-c', documented], { cwd: folder });
      expect([mt, timeOf(path)]).toEqual([mt, wanted]);
    }
  });
});
