import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AwkwardTree, makeAwkwardTree } from '../kit/awkward-tree.js';
import { type Ended, eventsIn, runProgram, summaryIn } from '../kit/built-program.js';
import { differences, withoutTheirHoles } from '../kit/compare-trees.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { asRoot, installPrograms } from '../kit/programs.js';
import { type CephServer, describeWithCeph } from './ceph.js';

const BLOCK = 64 * 1024;
const FOLDERS_MS = 1_500_000;
const PROGRAMS = ['rsync', 'setfacl', 'setfattr', 'setcap'];
/** What of this machine is taken there and back. All of `/usr`, as `.ci/run` has it, takes some minutes each time. */
const SYSTEM_FOLDERS = (process.env['ROUNDTRIP_FOLDERS'] ?? '/etc:/usr/share').split(':');
/** Small files stored together, as one would have it for whole systems. */
const TOGETHER = '[content]\nbundle_below = 1 MiB\n';

interface Destination {
  section: string;
  env: Readonly<Record<string, string>>;
}

function archive({ confDir }: ConfFolder, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return runProgram(['archive', '--conf-dir', confDir, '--json'], { env });
}

/** Restores all of the newest run. Returns the target. */
async function restore(backup: ConfFolder, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const target = backup.at('target');
  mkdirSync(target, { recursive: true });
  const ended = await runProgram(['restore', '--conf-dir', backup.confDir, '--target', target, '--json'], {
    env,
  });
  expect(ended.stderr.replaceAll(/^(?:warning: )?run \S+ of .*\n/gm, '')).toBe('');
  expect(ended.code).toBe(0);
  return target;
}

/** What of the run's problems was not to be expected of this tree, and what is missing of those that were. */
function unexpectedProblems(stdout: string, tree: AwkwardTree): string[] {
  const problems = eventsIn(stdout, 'problem').map(
    ({ code, path }) => `${code} ${String(path).slice(tree.root.length + 1)}`,
  );
  const expected = tree.special.map((path) => `special-file ${path}`);
  for (const circle of tree.circles) {
    // Each circle is reported once, at the link that the picker happens to name first.
    const reported = problems.find((problem) => circle.some((path) => problem === `symlink-loop ${path}`));
    expected.push(reported ?? `symlink-loop at one of ${circle.join(', ')}`);
  }
  return [
    ...problems.filter((problem) => !expected.includes(problem)),
    ...expected.filter((problem) => !problems.includes(problem)).map((problem) => `missing: ${problem}`),
  ];
}

async function takeAwkwardTree(
  backup: ConfFolder,
  { section, env }: Destination,
  more = 'bundle_below = 0\n',
): Promise<{ root: string; back: string }> {
  const tree = makeAwkwardTree(backup.at('tree'), { blockSize: BLOCK });
  expect(tree.left).toEqual([]);
  backup.conf(section, `[content]\nblock_size = ${BLOCK}\n${more}`);
  backup.picker('tree', `find '${tree.root}' -print0`);
  const run = await archive(backup, env);
  expect(unexpectedProblems(run.stdout, tree)).toEqual([]);
  // The circles of symlinks are notes: there is no more of them than the links.
  expect(run.code).toBe(0);
  expect(summaryIn(run.stdout)).toMatchObject({ outcome: 'complete' });
  const back = join(await restore(backup, env), tree.root);
  const found = differences(tree.root, back);
  expect(found.map(({ path }) => path).sort()).toEqual([...tree.special].sort());
  expect(withoutTheirHoles(tree.root, back)).toEqual([]);
  return { root: tree.root, back };
}

async function takeFolders(
  backup: ConfFolder,
  folders: readonly string[],
  { section, env }: Destination,
): Promise<void> {
  const startMs = Date.now() - 50;
  backup.conf(section, TOGETHER);
  backup.picker('system', `find ${folders.join(' ')} -print0`);
  const run = await archive(backup, env);
  expect(eventsIn(run.stdout, 'problem').filter(({ severity }) => severity !== 'note')).toEqual([]);
  expect(run.code).toBe(0);
  const target = await restore(backup, env);
  // The machine is at work meanwhile: what it has changed since is not what was backed up.
  for (const folder of folders)
    expect(
      differences(folder, join(target, folder)).filter(({ path }) => !hasChanged(folder, path, startMs)),
    ).toEqual([]);
}

/** Whether a path that rsync names, or what is left of the folders above it, was changed since. */
function hasChanged(folder: string, shown: string, sinceMs: number): boolean {
  const name = shown
    .replace(/ (?:->|=>) .*/, '')
    .replaceAll(/\\#([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  for (let path = name; ; path = dirname(path)) {
    const found = lstatSync(Buffer.from(`${folder}/${path}`, 'latin1'), { throwIfNoEntry: false });
    if (found !== undefined || path === '.') return found !== undefined && found.ctimeMs >= sinceMs;
  }
}

describe.skipIf(!asRoot)('there and back with the built program, rsync finding no difference (root)', () => {
  beforeAll(() => {
    expect(installPrograms(PROGRAMS)).toEqual([]);
  });

  it('a tree made to be awkward, through a directory', { timeout: 300_000 }, async () => {
    const backup = ConfFolder.make();
    const { root, back } = await takeAwkwardTree(backup, {
      section: `[directory]\npath = ${backup.store}\n`,
      env: {},
    });

    // That rsync would have found a difference: one of each kind is made, and each is found.
    const changed = changeSomeOfEach(back);
    // The folders that these are in have other times now.
    const parents = new Set(changed.map((path) => dirname(path)));
    const found = changesOf(root, back).filter((path) => !parents.has(path));
    expect(found.sort()).toEqual(changed.sort());

    // A second restore over it puts all but the content right that was changed behind size and time.
    await restore(backup);
    expect(changesOf(root, back).sort()).toEqual(['ordinary/extra', 'ordinary/folder 0/file 31']);
  });

  it(
    `${SYSTEM_FOLDERS.join(' and ')}, through a directory`,
    async () => {
      const backup = ConfFolder.make();
      await takeFolders(backup, SYSTEM_FOLDERS, {
        section: `[directory]\npath = ${backup.store}\n`,
        env: {},
      });
    },
    FOLDERS_MS,
  );

  describeWithCeph('through a bucket of Ceph', {}, (ceph) => {
    const destination = async (server: CephServer): Promise<Destination> => ({
      section: [
        '[s3]',
        `bucket = ${await server.createBucket()}`,
        `endpoint_url = ${server.endpoint}`,
        'region = us-east-1',
        'prefix = there and back\n',
      ].join('\n'),
      env: { AWS_ACCESS_KEY_ID: server.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: server.keys.secretAccessKey },
    });

    it('a tree made to be awkward', { timeout: 300_000 }, async () => {
      await takeAwkwardTree(ConfFolder.make(), await destination(ceph()));
    });

    it('the same with its small files stored together', { timeout: 300_000 }, async () => {
      await takeAwkwardTree(ConfFolder.make(), await destination(ceph()), 'bundle_below = 8 KiB\n');
    });

    it(
      SYSTEM_FOLDERS.join(' and '),
      async () => {
        await takeFolders(ConfFolder.make(), SYSTEM_FOLDERS, await destination(ceph()));
      },
      FOLDERS_MS,
    );
  });
});

/** Paths that rsync finds different, special files excepted. */
function changesOf(source: string, target: string): string[] {
  const paths = differences(source, target).map(({ path }) =>
    path.replace(/ (?:->|=>) .*/, '').replace(/\/$/, ''),
  );
  return [...new Set(paths)].filter((path) => !/^special\/(?:fifo|socket|char|block)$/.test(path));
}

/** Changes a restored tree in each way that a restore could have got it wrong. Returns the paths concerned. */
function changeSomeOfEach(back: string): string[] {
  const at = (path: string): string => join(back, path);
  const run = (program: string, ...args: string[]): unknown => execFileSync(program, args);
  const ways: [path: string, change: (path: string) => void][] = [
    ['modes/file 444', (path) => chmodSync(path, 0o445)],
    ['modes/file 4755', (path) => chmodSync(path, 0o755)],
    ['modes/owner 1 1', (path) => run('chown', '--', '2:1', path)],
    ['modes/owner 12345 54321', (path) => run('chgrp', '--', '1', path)],
    ['times/nine digits', (path) => run('touch', '-d', '2001-02-03 04:05:06.123456788 UTC', path)],
    ['times/folder', (path) => utimesSync(path, 1, 1)],
    ['times/link 0', (path) => lutimesSync(path, 1, 1)],
    ['acls/user', (path) => run('setfacl', '-m', 'u:daemon:rw', path)],
    ['acls/inherits', (path) => run('setfacl', '-k', path)],
    ['xattrs/text', (path) => run('setfattr', '-n', 'user.note', '-v', 'other text', path)],
    ['xattrs/trusted', (path) => run('setfattr', '-x', 'trusted.note', path)],
    ['xattrs/capable', (path) => run('setfattr', '-x', 'security.capability', path)],
    ['symlinks/relative', (path) => retarget(path)],
    ['hard links/b/across', (path) => breakLink(path)],
    ['hard links/b/hard link to a symlink', (path) => retarget(path, 'in one folder')],
    ['ordinary/folder 0/file 31', (path) => changeBehindTimes(path)],
    ['ordinary/folder 0/file 32', (path) => appendFileSync(path, 'more')],
    ['names/bytes/a\nb', (path) => unlinkSync(path)],
    ['contents/empty folder', (path) => rmSync(path, { recursive: true })],
    ['ordinary/extra', (path) => writeFileSync(path, 'not in the backup')],
  ];
  for (const [path, change] of ways) {
    const folder = join(at(path), '..');
    const { atimeMs, mtimeMs } = statSync(folder);
    change(at(path));
    utimesSync(folder, atimeMs / 1000, mtimeMs / 1000);
  }
  return ways.map(([path]) => path.replace('\n', '\\#012'));
}

function retarget(path: string, target = 'elsewhere'): void {
  unlinkSync(path);
  symlinkSync(target, path);
}

/** The same file, but an inode of its own. */
function breakLink(path: string): void {
  const stat = statSync(path);
  copyFileSync(path, `${path}.copy`);
  utimesSync(`${path}.copy`, stat.atimeMs / 1000, stat.mtimeMs / 1000);
  renameSync(`${path}.copy`, path);
}

function changeBehindTimes(path: string): void {
  const stat = statSync(path, { bigint: true });
  writeFileSync(path, Buffer.alloc(Number(stat.size), '!'));
  const seconds = stat.mtimeNs / 1_000_000_000n;
  const nanoseconds = String(stat.mtimeNs % 1_000_000_000n).padStart(9, '0');
  execFileSync('touch', ['-m', '-d', `@${seconds}.${nanoseconds}`, path]);
}
