import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { link, lstat, mkdir, readdir, readFile, symlink as makeSymlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ManifestLine } from '#src/manifest/types.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { md5Of } from '../../kit/bodies.js';
import { runProgram, summaryIn } from '../../kit/built-program.js';
import { directory, KEY, manifestOf, RUN, symlink } from '../manifest/build-manifest.js';
import { asRoot, own, Scene } from './scene.js';

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
  await mkdir(scene.target);
  await writeFile(join(scene.outside, 'secret'), 'untouched');
});
afterEach(async () => {
  expect(await readdir(scene.outside)).toEqual(['secret']);
  expect(await readFile(join(scene.outside, 'secret'), 'utf8')).toBe('untouched');
  // By `rm`: some of these trees are deeper than Node can remove.
  execFileSync('rm', ['-rf', scene.folder]);
});

const inTarget = (...names: string[]): string => join(scene.target, ...names);

/** What somebody can have put where a restore writes, that hangs who opens it or leads elsewhere. */
const PLANTED: [string, (path: string) => unknown][] = [
  ['a FIFO', (path) => execFileSync('mkfifo', [path])],
  ['a socket', (path) => new Promise<void>((resolve) => listenAt(path, resolve))],
  ['a symlink to a FIFO', (path) => plantedFifo(path)],
  ['a symlink to itself', (path) => makeSymlink(path, path)],
  ['a symlink that goes round with another', (path) => roundabout(path)],
  ['a symlink to nothing', (path) => makeSymlink('/nonexistent/place', path)],
  ['a hard link to a file outside', (path) => link(join(scene.outside, 'secret'), path)],
];
if (asRoot) PLANTED.push(['a device', (path) => execFileSync('mknod', [path, 'c', '1', '5'])]);

async function plantedFifo(path: string): Promise<void> {
  const fifo = join(scene.spool, 'fifo');
  execFileSync('mkfifo', [fifo]);
  await makeSymlink(fifo, path);
}

async function roundabout(path: string): Promise<void> {
  await makeSymlink(`${path}.other`, path);
  await makeSymlink(path, `${path}.other`);
}

function listenAt(path: string, done: () => void): void {
  const server = createServer();
  // Its name stays: only closing removes it.
  server.listen(path, () => {
    server.unref();
    done();
  });
}

describe('in the place of a file or folder stands already', () => {
  it.each(PLANTED)(
    '%s: it is replaced by the file, hangs nothing, and is not written to',
    async (_what, plant) => {
      await plant(inTarget('f'));
      const mt = '1000000000.000000000';
      const lines = [
        directory('/', own),
        scene.file('/f', 'the content', { ...own, mt }),
        scene.file('/z', 'z', own),
      ];
      expect(await scene.restore(lines)).toMatchObject({ failed: 0 });
      expect(lstatSync(inTarget('f')).isFile()).toBe(true);
      expect(readFileSync(inTarget('f'), 'utf8')).toBe('the content');
    },
  );

  it.each(PLANTED)('%s: it is replaced by the file when contents are compared, too', async (_what, plant) => {
    await plant(inTarget('f'));
    const lines = [directory('/', own), scene.file('/f', 'untouchee', own)];
    expect(await scene.restore(lines, { checksum: true })).toMatchObject({ failed: 0 });
    expect(readFileSync(inTarget('f'), 'utf8')).toBe('untouchee');
  });

  it.each(PLANTED)('%s: it stays with `never`, and is not opened', async (_what, plant) => {
    await plant(inTarget('f'));
    const before = lstatSync(inTarget('f'));
    const lines = [directory('/', own), scene.file('/f', 'the content', own)];
    expect(await scene.restore(lines, { overwrite: 'never' })).toMatchObject({
      failed: 0,
      done: { keep: 2 },
    });
    expect(lstatSync(inTarget('f')).ino).toBe(before.ino);
  });

  it.each(PLANTED)('%s: nothing is restored through it where a folder should be', async (_what, plant) => {
    await plant(inTarget('folder'));
    const lines = [
      directory('/', own),
      directory('/folder', own),
      scene.file('/folder/planted', 'bad', own),
      scene.file('/folder/secret', 'bad', own),
      scene.file('/good', 'good', own),
    ];
    const summary = await scene.restore(lines);
    expect(summary).toMatchObject({ failed: 3, problemCounts: { failure: 1 } });
    expect(readFileSync(inTarget('good'), 'utf8')).toBe('good');
  });

  it.each(PLANTED)('%s: a symlink of the run takes its place', async (_what, plant) => {
    await plant(inTarget('l'));
    expect(await scene.restore([directory('/', own), symlink('/l', 'x', own)])).toMatchObject({ failed: 0 });
    expect(readlinkSync(inTarget('l'))).toBe('x');
  });

  it('one of them as the target itself: it is refused', async () => {
    execFileSync('mkfifo', [inTarget('fifo')]);
    await makeSymlink('loop', inTarget('loop'));
    for (const name of ['fifo', 'loop'])
      await expect(
        scene.restore([scene.file('/f', 'x', own)], { target: inTarget(name) }),
      ).rejects.toMatchObject({ code: 'SYSTEM' });
  });
});

describe('a manifest', () => {
  it('of a path 2000 folders deep is restored, with few files open at a time', async () => {
    const lines: ManifestLine[] = [directory('/', own)];
    let path = '';
    for (let depth = 0; depth < 2000; depth += 1) lines.push(directory((path += '/d'), own));
    lines.push(scene.file(`${path}/f`, 'deep', own));
    const open = readdirSync('/proc/self/fd').length;
    expect(await scene.restore(lines)).toMatchObject({ failed: 0 });
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(open + 10);
    expect(
      execFileSync('find', ['.', '-name', 'f', '-size', '4c'], { cwd: scene.target }).toString().length,
    ).toBe('./'.length + 2000 * 'd/'.length + 'f\n'.length);
  });

  it('that has something below a file or a symlink restores it through neither', async () => {
    const summary = await scene.restore([
      scene.file('/a', 'a file', own),
      scene.file('/a/b', 'below it', own),
      symlink('/l', scene.outside, own),
      directory('/l/folder', own),
    ]);
    expect(summary.failed).toBe(2);
    // Which of the two is there first does not matter.
    expect(lstatSync(inTarget('a')).isFile()).toBe(!existsSync(inTarget('a/b')));
  });

  it('that gives a symlink and files one id links nothing to the symlink or through it', async () => {
    const id = 'x';
    await scene.restore([
      symlink('/a', join(scene.outside, 'secret'), { ...own, id }),
      scene.file('/b', 'content', { ...own, id }),
      symlink('/c', 'elsewhere', { ...own, id }),
      scene.file('/d', 'content', { ...own, id }),
    ]);
    expect(statSync(inTarget('b')).ino).toBe(statSync(inTarget('d')).ino);
    expect(readFileSync(inTarget('b'), 'utf8')).toBe('content');
    expect([readlinkSync(inTarget('a')), readlinkSync(inTarget('c'))]).toEqual([
      join(scene.outside, 'secret'),
      'elsewhere',
    ]);
  });
});

describe('the built program', () => {
  it('restores nothing outside the target, hangs at nothing, tells of each, and exits with 3', async () => {
    const storePath = join(scene.folder, 'store');
    const store = await openDirectoryStore({ path: storePath, create: true });
    const put = async (key: string, bytes: Buffer): Promise<string> =>
      (await store.put({ key, body: { bytes, size: bytes.length, md5: md5Of(bytes) }, retention: undefined }))
        .version;
    const right = scene.file('/z-good', 'good', own);
    const wrong = scene.file('/y-wrong', 'promised', own);
    for (const [entry, content] of [
      [right, 'good'],
      [wrong, 'something else'],
    ] as const)
      if (entry.dat !== null && 'ver' in entry.dat)
        entry.dat.ver = await put(entry.dat.key, Buffer.from(content));
    const to = (path: string): ManifestLine => ({ ...right, path });
    const lines = [
      to('/../outside/planted'),
      directory('/', own),
      to('/a\0b'),
      symlink('/link', scene.outside, own),
      to('/link/planted'),
      directory('/planted', own),
      to('/planted/secret'),
      { ...right, path: '/version', dat: { key: `content/${right.sha}`, ver: 'f'.repeat(32) } },
      wrong,
      right,
    ].sort((a, b) => (pathIn(a) < pathIn(b) ? -1 : 1));
    await put(KEY, manifestOf(lines));
    await store.close();
    await makeSymlink(scene.outside, inTarget('planted'));
    execFileSync('mkfifo', [inTarget('z-good')]);

    const args = ['restore', RUN, '--directory', storePath, '--target', scene.target, '--json'];
    const { code, stdout } = await runProgram(args);
    expect(code).toBe(3);
    expect(summaryIn(stdout)).toMatchObject({ failed: 7, done: { replace: 1 } });
    expect((await readdir(scene.target)).sort()).toEqual(['link', 'planted', 'z-good']);
    expect(readFileSync(inTarget('z-good'), 'utf8')).toBe('good');
    expect((await lstat(inTarget('planted'))).isSymbolicLink()).toBe(true);
  });
});

function pathIn(line: ManifestLine): string {
  return 'path' in line ? (line.path ?? '') : '';
}
