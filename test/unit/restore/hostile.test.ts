import { linkSync, mkdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import {
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink as makeSymlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ManifestLine } from '#src/manifest/types.js';
import { directory, file, KEY, manifestOf, sha256, symlink } from '../manifest/build-manifest.js';
import { own, Scene } from './scene.js';

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
  await writeFile(join(scene.outside, 'secret'), 'untouched');
});
afterEach(async () => {
  // Whatever was tried: outside is as it was, and no temporary file is left anywhere.
  expect(await readdir(scene.outside)).toEqual(['secret']);
  expect(await readFile(join(scene.outside, 'secret'), 'utf8')).toBe('untouched');
  expect(await readdir(scene.spool)).toEqual([]);
  const names = await readdir(scene.target, { recursive: true }).catch(() => []);
  expect(names.filter((name) => name.includes('.s3-sysbackup'))).toEqual([]);
  await scene.remove();
});

const sorted = (lines: ManifestLine[]): ManifestLine[] =>
  lines.sort((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)));
const bytesOf = (line: ManifestLine): Buffer =>
  'path64' in line && line.path64 !== undefined
    ? Buffer.from(line.path64, 'base64')
    : Buffer.from('path' in line ? (line.path ?? '') : '');

describe('a hostile manifest', () => {
  it.each([
    '/../outside/planted',
    '/a/../../outside/planted',
    '/..',
    '/a/..',
    '/a/.',
    '/./a',
    '//a',
    '/a//b',
    '/a/',
    '//',
    '',
    'relative',
    '../outside/planted',
    '/nul\0byte',
  ])('cannot restore the path %j', (path) => cannotRestore(path));

  it('cannot restore a name of 256 bytes', () => cannotRestore(`/${'n'.repeat(256)}`));
  it('cannot restore a path of 5000 bytes', () => cannotRestore(`/${'long/'.repeat(1000)}x`));

  async function cannotRestore(path: string): Promise<void> {
    const lines = sorted([
      directory('/'),
      directory('/a', own),
      scene.file('/z', 'good', own),
      scene.file(path, 'bad'),
    ]);
    const summary = await scene.restore(lines);
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'unsafe-path', severity: 'failure' }] });
    expect((await readdir(scene.target)).sort()).toEqual(['a', 'z']);
    expect(await readdir(join(scene.target, 'a'))).toEqual([]);
  }

  it.each(['d', 'l'])('cannot restore such a path as %s either', async (typ) => {
    for (const path of ['/../outside/planted', '/a\0b', '/a//b']) {
      const line = typ === 'd' ? directory(path) : symlink(path, scene.outside);
      expect(await scene.restore([line])).toMatchObject({ failed: 1 });
    }
    expect(await readdir(scene.target)).toEqual([]);
  });

  it('cannot put a file or symlink in the place of the target', async () => {
    await mkdir(scene.target);
    expect(await scene.restore([symlink('/', scene.outside)])).toMatchObject({ failed: 1 });
    expect(await scene.restore([scene.file('/', 'x')])).toMatchObject({ failed: 1 });
    expect((await lstat(scene.target)).isDirectory()).toBe(true);
  });

  it('cannot write through a symlink that it planted itself', async () => {
    const summary = await scene.restore([
      directory('/', own),
      symlink('/link', scene.outside, own),
      directory('/link/folder', own),
      scene.file('/link/folder/planted', 'bad', own),
      scene.file('/link/secret', 'bad', own),
      symlink('/link/z', 'x', own),
    ]);
    expect(summary).toMatchObject({ failed: 4, problemCounts: { failure: 1 } });
    expect(summary.problems[0]?.message).toMatch(/\/link: cannot be a folder.*symlink/);
  });

  it('cannot write through a symlink to the parent, planted deep below', async () => {
    const summary = await scene.restore([
      directory('/a', own),
      symlink('/a/up', '../..', own),
      scene.file('/a/up/outside/planted', 'bad', own),
    ]);
    expect(summary.failed).toBe(1);
  });

  it('cannot change the metadata of what its symlink points to', async () => {
    const before = await stat(join(scene.outside, 'secret'));
    await scene.restore([symlink('/s', join(scene.outside, 'secret'), { ...own, mt: '1.000000000' })]);
    expect((await lstat(join(scene.target, 's'))).mtimeMs).toBe(1000);
    expect((await stat(join(scene.outside, 'secret'))).mtimeMs).toBe(before.mtimeMs);
  });

  it('cannot write through a symlink that stands in the target already', async () => {
    await mkdir(scene.target);
    await makeSymlink(scene.outside, join(scene.target, 'folder'));
    const lines = [
      directory('/', own),
      directory('/folder', own),
      scene.file('/folder/planted', 'bad', own),
      scene.file('/folder/secret', 'bad', own),
      scene.file('/good', 'good', own),
    ];
    for (const overwrite of ['always', 'if-changed', 'never'] as const)
      expect(await scene.restore(lines, { overwrite })).toMatchObject({ failed: 3 });
    expect(await readFile(join(scene.target, 'good'), 'utf8')).toBe('good');
    expect((await lstat(join(scene.target, 'folder'))).isSymbolicLink()).toBe(true);
  });

  it('replaces a symlink that stands where a file goes, and does not write through it', async () => {
    await mkdir(scene.target);
    await makeSymlink(join(scene.outside, 'secret'), join(scene.target, 'f'));
    await scene.restore([scene.file('/f', 'new', own)]);
    expect((await lstat(join(scene.target, 'f'))).isFile()).toBe(true);
    expect(await readFile(join(scene.target, 'f'), 'utf8')).toBe('new');
  });

  it('leaves a hard link to the outside that stands in the target with the right size and time alone', async () => {
    await mkdir(scene.target);
    await link(join(scene.outside, 'secret'), join(scene.target, 'f'));
    const before = await stat(join(scene.outside, 'secret'), { bigint: true });
    const mt = `${before.mtimeNs / 1_000_000_000n}.${String(before.mtimeNs % 1_000_000_000n).padStart(9, '0')}`;
    const entry = scene.file('/f', 'untouche!', { ...own, mt, mode: 0o4777 });
    await scene.restore([entry]);
    const after = await stat(join(scene.outside, 'secret'), { bigint: true });
    expect([after.mode, after.uid, after.mtimeNs]).toEqual([before.mode, before.uid, before.mtimeNs]);
    expect(after.nlink).toBe(1n);
    expect(await readFile(join(scene.target, 'f'), 'utf8')).toBe('untouche!');
  });

  it('cannot make hard links through a symlink, nor to what it did not restore', async () => {
    await mkdir(join(scene.target, 'b'), { recursive: true });
    await makeSymlink(scene.outside, join(scene.target, 'a'));
    const id = 'x';
    const summary = await scene.restore([
      scene.file('/a/secret', 'content', { ...own, id }),
      scene.file('/b/copy', 'content', { ...own, id }),
    ]);
    expect(summary.failed).toBe(1);
    expect(await readFile(join(scene.target, 'b/copy'), 'utf8')).toBe('content');
    expect((await stat(join(scene.target, 'b/copy'))).nlink).toBe(1);
  });

  it('cannot have what it restored first exchanged for a link to the outside before it is linked again', async () => {
    const first = scene.file('/a', 'content', { ...own, id: 'x' });
    const lines = [first, scene.file('/m', 'm', own), scene.file('/n', 'n', own), { ...first, path: '/z' }];
    const onPath = ({ path }: { path: string }): void => {
      // With one file at a time and no threads, `/a` is complete when `/n` has its turn.
      if (path !== '/n') return;
      unlinkSync(join(scene.target, 'a'));
      linkSync(join(scene.outside, 'secret'), join(scene.target, 'a'));
    };
    await scene.restore(lines, { concurrency: 1, writers: 0, onPath });
    expect(await readFile(join(scene.target, 'z'), 'utf8')).toBe('content');
    expect((await stat(join(scene.outside, 'secret'))).nlink).toBe(2);
  });

  it('cannot make it follow or lose what is put into a folder that it has just made', async () => {
    const lines = [
      directory('/d', own),
      ...['a', 'b', 'c'].map((name) => scene.file(`/d/${name}`, name, own)),
    ];
    const onPath = ({ path }: { path: string }): void => {
      if (path !== '/d/a') return;
      mkdirSync(join(scene.target, 'd/b/kept'), { recursive: true });
      symlinkSync(join(scene.outside, 'secret'), join(scene.target, 'd/c'));
    };
    const summary = await scene.restore(lines, { onPath });
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'in-the-way', path: '/d/b' }] });
    expect(await readdir(join(scene.target, 'd/b'))).toEqual(['kept']);
    expect((await lstat(join(scene.target, 'd/c'))).isFile()).toBe(true);
    expect(await readFile(join(scene.target, 'd/c'), 'utf8')).toBe('c');
  });

  it('cannot be led outside by a folder that becomes a symlink while it works', async () => {
    const files = ['b', 'c', 'd'].map((name) => scene.file(`/folder/${name}`, name, own));
    const onPath = ({ path }: { path: string }): void => {
      if (path !== '/folder/c') return;
      renameSync(join(scene.target, 'folder'), join(scene.target, 'moved'));
      symlinkSync(scene.outside, join(scene.target, 'folder'));
    };
    const lines = [directory('/', own), directory('/folder', own), ...files, scene.file('/z', 'z', own)];
    await scene.restore(lines, { concurrency: 1, onPath });
    expect((await readdir(join(scene.target, 'moved'))).sort()).toEqual(['b', 'c', 'd']);
    expect((await stat(scene.outside)).mode & 0o777).toBe(0o755);
  });

  it('cannot link two files of different content by giving them one id', async () => {
    await scene.restore([
      scene.file('/a', 'one', { ...own, id: 'x' }),
      scene.file('/b', 'two', { ...own, id: 'x' }),
    ]);
    expect(await readFile(join(scene.target, 'a'), 'utf8')).toBe('one');
    expect(await readFile(join(scene.target, 'b'), 'utf8')).toBe('two');
  });

  it.each<[string, (whole: Buffer) => Buffer]>([
    ['cut short', (whole) => whole.subarray(0, -20)],
    ['cut to half', (whole) => whole.subarray(0, whole.length / 2)],
    ['with a line more', (whole) => Buffer.concat([whole, gzipSync('{"typ":"d"}\n')])],
    ['with a byte changed', (whole) => Buffer.from(whole).fill(whole.readUInt8(60) ^ 1, 60, 61)],
  ])('restores nothing from a manifest %s', async (_what, change) => {
    const whole = manifestOf([directory('/', own), scene.file('/f', 'x', own)]);
    const version = scene.store.add(KEY, change(whole));
    await expect(scene.restore([], { run: { key: KEY, version } })).rejects.toMatchObject({
      code: 'DAMAGED',
    });
    await expect(lstat(scene.target)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses bytes that do not hash right, and leaves nothing under the name', async () => {
    const right = scene.file('/f', 'right', own);
    const ver = scene.store.add(`content/${right.sha}`, Buffer.from('wrong'));
    const summary = await scene.restore([{ ...right, dat: { key: `content/${right.sha}`, ver } }]);
    expect(summary).toMatchObject({ failed: 1, bytes: 0, problems: [{ code: 'damaged' }] });
    expect(await readdir(scene.target)).toEqual([]);
  });

  it('keeps what was there where the new content does not hash right', async () => {
    await mkdir(scene.target);
    await writeFile(join(scene.target, 'f'), 'old');
    const ref = scene.object('wrong');
    await scene.restore([file('/f', 'right', { ...own, dat: ref })], { overwrite: 'always' });
    expect(await readFile(join(scene.target, 'f'), 'utf8')).toBe('old');
  });

  it('refuses a wrong version id, and restores the rest', async () => {
    const summary = await scene.restore([
      file('/a', 'x', { ...own, dat: { key: `content/${sha256('x')}`, ver: 'no-such' } }),
      scene.file('/b', 'y', own),
    ]);
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'not-fetched' }] });
    expect(await readdir(scene.target)).toEqual(['b']);
  });

  it.each(['whole', 'in blocks', 'as a small file'])(
    'bounds a gzip bomb by the recorded size (%s)',
    async (how) => {
      const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
      const size = how === 'as a small file' ? 10 : 1024 * 1024;
      const ver = scene.store.add('content/bomb', bomb);
      const ref = { key: 'content/bomb', ver, enc: 'gzip' as const };
      const entry = file('/f', Buffer.alloc(size), {
        ...own,
        dat: how === 'in blocks' ? [{ ...ref, size: size / 2, n: 2 }] : ref,
      });
      const before = process.memoryUsage().rss;
      const summary = await scene.restore([entry]);
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
      expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'damaged' }] });
      expect(await readdir(scene.target)).toEqual([]);
    },
  );

  it('reads no endless object', async () => {
    const ref = scene.object('x');
    let served = 0;
    const endless = () =>
      new Readable({
        read() {
          served += 65536;
          this.push(Buffer.alloc(65536, 'x'));
        },
      });
    scene.store.replaced.set(`${ref.key}@${ref.ver}`, endless);
    const summary = await scene.restore([
      file('/small', 'x', { ...own, dat: ref }),
      file('/tall', Buffer.alloc(100_000, 'x'), { ...own, dat: ref }),
    ]);
    expect(summary.failed).toBe(2);
    expect(served).toBeLessThan(10_000_000);
  });

  it('refuses a size that no file can have before it fetches anything', async () => {
    const size = 2 ** 53 - 1;
    const ref = scene.object('x');
    const entry = file('/f', 'x', { ...own, size, dat: [{ ...ref, size: 1, n: size }] });
    expect(await scene.restore([entry])).toMatchObject({ failed: 1, requests: 0 });
  });

  it('refuses keys that lead out of a directory store', async () => {
    for (const key of ['../outside/secret', 'content/../../outside/secret', '/etc/passwd']) {
      const entry = file('/f', 'untouched', { dat: { key, ver: 'v1' } });
      await expect(scene.restore([entry])).rejects.toMatchObject({ code: 'DAMAGED' });
    }
  });

  it('gives ACLs, attributes, modes and times that make no sense no chance to stop it', async () => {
    const summary = await scene.restore([
      directory('/', own),
      scene.file('/f', 'x', {
        ...own,
        acl: 'user:\0:rwx\nnonsense',
        xattr: { 'system.nonsense': '', '': 'AAAA', [`user.${'x'.repeat(300)}`]: 'AAAA' },
        mt: '-999999999999.000000000',
      }),
      scene.file('/g', 'y', { ...own, acl: `${'u::rw-\n'.repeat(1000)}g::r--\no::r--` }),
    ]);
    expect(summary.failed).toBe(0);
    expect(summary.notSet).toMatchObject({ recorded: 2, xattr: 3 });
    expect((await readdir(scene.target)).sort()).toEqual(['f', 'g']);
  });
});
