import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Ended, jsonLines, Machine, run } from '../unit/cli/command.js';
import { temporaryFolder } from '../kit/temporary.js';
import { canMount, mountOddFiles, mountWithOneInode, type OddFile } from './odd-files.js';

const KIB = 1024;

/** A machine that backs up a file system with just these files. */
async function machineWith(files: Record<string, OddFile>, conf = '') {
  const machine = new Machine(conf);
  const folder = await mountOddFiles(files);
  machine.picker('odd', `find '${folder}' -print0`);
  return { machine, folder };
}

/** The last line of an archive with --json. */
async function archived(machine: Machine): Promise<{ ended: Ended; summary: Record<string, unknown> }> {
  const ended = await machine.archive('--json');
  return { ended, summary: jsonLines(ended.stdout).at(-1) ?? {} };
}

/** The problems that a run told of, by path. */
function problemsOf({ stdout }: Ended): Record<string, unknown>[] {
  return jsonLines(stdout)
    .filter((line) => line['type'] === 'problem')
    .toSorted((one, other) => (String(one['path']) < String(other['path']) ? -1 : 1));
}

async function entriesOf(machine: Machine, folder: string): Promise<Map<string, Record<string, unknown>>> {
  const { stdout } = await run(['ls', 'latest', folder, '--json', '--conf-dir', machine.confDir]);
  return new Map(jsonLines(stdout).map((entry) => [String(entry['path']).slice(folder.length + 1), entry]));
}

/** What a restore makes of the folder. */
async function restored(machine: Machine, folder: string): Promise<string> {
  const target = mkdtempSync(join(tmpdir(), 'odd-files-'));
  onTestFinished(() => rmSync(target, { recursive: true }));
  const { code, stderr } = await run(['restore', '--conf-dir', machine.confDir, '--target', target]);
  expect(code, stderr).toBe(0);
  return join(target, folder);
}

describe.skipIf(!canMount)('a file system (needs root, FUSE)', () => {
  it('that shows one inode number for different files gets each of them back', async () => {
    const { machine, folder } = await machineWith({
      a: { size: 6, content: 'AAAAA\n', ino: 42, nlink: 3 },
      b: { size: 9, content: 'BBBBBBBB\n', ino: 42, nlink: 3 },
      // Of equal size, but another time.
      c: { size: 6, content: 'CCCCC\n', ino: 42, nlink: 3, mtime: 1_600_000_000 },
      d: { size: 6, content: 'DDDDD\n', ino: 42, nlink: 3, ctime: 1_600_000_000 },
    });
    for (const read of [4, 0]) {
      const { ended, summary } = await archived(machine);
      expect(ended.code).toBe(0);
      expect(summary['read']).toMatchObject({ files: read });
      const entries = await entriesOf(machine, folder);
      const ids = ['a', 'b', 'c', 'd'].map((name) => entries.get(name)?.['id']);
      expect(new Set(ids).size).toBe(4);
      const back = await restored(machine, folder);
      for (const [name, content] of [
        ['a', 'AAAAA\n'],
        ['b', 'BBBBBBBB\n'],
        ['c', 'CCCCC\n'],
        ['d', 'DDDDD\n'],
      ] as const)
        expect(readFileSync(join(back, name), 'utf8')).toBe(content);
    }
  });

  it('whose files say that they are empty gets them back with what they hold, read in every run', async () => {
    const { machine, folder } = await machineWith(
      {
        empty: { size: 0, content: '' },
        short: { size: 0, content: 'content of unknown length\n' },
        longer: { size: 0, content: '0123456789abcdef', times: 8 * KIB },
        block: { size: 0, content: '0123456789abcdef', times: 64 * KIB },
        told: { size: 0, content: 'told once it is read', grows: true },
      },
      '[content]\nblock_size = 1M\n',
    );
    for (const read of [5, 3]) {
      const { ended, summary } = await archived(machine);
      expect(ended.code).toBe(0);
      expect(problemsOf(ended)).toEqual([]);
      expect(summary).toMatchObject({
        read: { files: read },
        bytes: 26 + 128 * KIB + 1024 * KIB + 20,
        warnings: { 'changed-while-reading': 0, 'unlocked-copy': 0 },
      });
    }
    const back = await restored(machine, folder);
    expect(readFileSync(join(back, 'empty'), 'utf8')).toBe('');
    expect(readFileSync(join(back, 'short'), 'utf8')).toBe('content of unknown length\n');
    expect(readFileSync(join(back, 'longer'), 'utf8')).toBe('0123456789abcdef'.repeat(8 * KIB));
    expect(readFileSync(join(back, 'block'), 'utf8')).toBe('0123456789abcdef'.repeat(64 * KIB));
    expect(readFileSync(join(back, 'told'), 'utf8')).toBe('told once it is read');
  });

  it('whose files say that they are empty, and hold more than a block or have to be waited for, makes these failures', async () => {
    const { machine, folder } = await machineWith(
      {
        good: { size: 3, content: 'ok\n' },
        long: { size: 0, content: '0123456789abcdef', times: 64 * KIB + 1 },
        waits: { size: 0, content: '', read: 'EAGAIN' },
      },
      '[content]\nblock_size = 1M\n',
    );
    const { ended } = await archived(machine);
    expect(ended.code).toBe(3);
    expect(problemsOf(ended)).toMatchObject([
      { severity: 'failure', code: 'unreadable', path: join(folder, 'long') },
      { severity: 'failure', code: 'unreadable', path: join(folder, 'waits') },
    ]);
    expect([...(await entriesOf(machine, folder)).keys()]).toEqual(['', 'good']);
  });

  it('on which a file that is there is said not to be when it is opened makes that a failure, in every run', async () => {
    const { machine, folder } = await machineWith({
      good: { size: 3, content: 'ok\n' },
      gone: { size: 10, content: '0123456789', open: 'ENOENT' },
      loop: { size: 10, content: '0123456789', open: 'ELOOP' },
      odd: { size: 10, content: '0123456789', listxattr: 'ENOENT' },
    });
    for (let night = 0; night < 2; night++) {
      const { ended } = await archived(machine);
      expect(ended.code).toBe(3);
      expect(problemsOf(ended)).toMatchObject([
        { severity: 'failure', code: 'unreadable', path: join(folder, 'gone') },
        { severity: 'failure', code: 'unreadable', path: join(folder, 'loop') },
        { severity: 'failure', code: 'unreadable', path: join(folder, 'odd') },
      ]);
    }
  });

  it('whose files are shorter or longer than they say gets copies that are named as doubtful', async () => {
    const { machine, folder } = await machineWith(
      {
        good: { size: 3, content: 'ok\n' },
        short: { size: 10_000, content: '5000 bytes', times: 500 },
        long: { size: 5, content: '0123456789' },
        blocks: { size: 1024 * KIB + 5, content: '0123456789abcdef', times: 64 * KIB + 1 },
      },
      '[content]\nblock_size = 1M\n',
    );
    const { ended, summary } = await archived(machine);
    expect(ended.code).toBe(0);
    expect(summary).toMatchObject({ warnings: { 'changed-while-reading': 3, 'unlocked-copy': 0 } });
    const named = problemsOf(ended).map(({ severity, code, path }) => [severity, code, path]);
    expect(named).toEqual(
      ['blocks', 'long', 'short'].map((name) => ['note', 'changed-while-reading', join(folder, name)]),
    );
  });

  it('that shows one inode number for all files does not take another file for a link when it is restored to', async () => {
    const machine = new Machine();
    machine.pickData();
    const first = join(machine.data, 'a');
    writeFileSync(first, 'right');
    linkSync(first, join(machine.data, 'b'));
    utimesSync(first, 1_600_000_000, 1_600_000_000);
    expect((await machine.archive()).code).toBe(0);
    const shown = temporaryFolder();
    const at = join(shown, machine.data);
    mkdirSync(at, { recursive: true });
    for (const [name, content] of [
      ['a', 'right'],
      ['b', 'wrong'],
    ] as const)
      writeFileSync(join(at, name), content);
    utimesSync(join(at, 'a'), 1_600_000_000, 1_600_000_000);
    const folder = await mountWithOneInode(shown);
    const { code, stderr } = await run(['restore', '--conf-dir', machine.confDir, '--target', folder]);
    expect(code, stderr).toBe(0);
    for (const name of ['a', 'b']) expect(readFileSync(join(at, name), 'utf8')).toBe('right');
  });
});
