import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import type { ManifestLine } from '#src/manifest/types.js';
import { directory, file, symlink } from '../manifest/build-manifest.js';
import { asRoot, own, Scene } from './scene.js';

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(async () => {
  expect(readdirSync(scene.spool)).toEqual([]);
  await scene.remove();
});

const inTarget = (...names: string[]): string => join(scene.target, ...names);
const read = (...names: string[]): string => readFileSync(inTarget(...names), 'utf8');
const MT = '1700000000.123456789';

function smallTree(): ManifestLine[] {
  return [
    directory('/', { ...own, mode: 0o711 }),
    directory('/a', { ...own, mode: 0o750 }),
    directory('/a/b', { ...own, mode: 0o705 }),
    scene.file('/a/b/deep', 'deep', own),
    scene.file('/a/text', 'text', own),
    symlink('/link', 'a', own),
    scene.file('/top', 'top', own),
  ];
}

describe('selecting', () => {
  it('makes the folders above with their own metadata, and nothing else', async () => {
    const summary = await scene.restore(smallTree(), { include: ['/a/b/deep'] });
    expect(read('a/b/deep')).toBe('deep');
    expect(readdirSync(inTarget('a'))).toEqual(['b']);
    expect(summary).toMatchObject({ selected: { d: 0, l: 0, f: 1 }, failed: 0, bytes: 4, requests: 1 });
    expect(statSync(inTarget('a')).mode & 0o777).toBe(0o750);
    expect(statSync(inTarget('a/b')).mode & 0o777).toBe(0o705);
    expect(statSync(inTarget('a')).mtimeMs).toBe(1_700_000_000_123.456_8);
    expect(statSync(scene.target).mode & 0o777).toBe(0o711);
  });

  it('leaves folders above that are there already as they are', async () => {
    mkdirSync(inTarget('a'), { recursive: true, mode: 0o700 });
    chmodSync(inTarget('a'), 0o701);
    await scene.restore(smallTree(), { include: ['/a/b'] });
    expect(statSync(inTarget('a')).mode & 0o777).toBe(0o701);
    expect(statSync(inTarget('a/b')).mode & 0o777).toBe(0o705);
  });

  it('leaves out what is excluded', async () => {
    await scene.restore(smallTree(), { include: ['/a'], exclude: ['deep'] });
    expect(readdirSync(inTarget('a')).sort()).toEqual(['b', 'text']);
    expect(readdirSync(inTarget('a/b'))).toEqual([]);
    expect(existsSync(inTarget('top'))).toBe(false);
  });

  it('says so where nothing matches', async () => {
    const summary = await scene.restore(smallTree(), { include: ['/no/such'] });
    expect(summary.problems).toMatchObject([{ code: 'nothing-selected', severity: 'failure' }]);
    expect(readdirSync(scene.target)).toEqual([]);
  });

  it('restores what is in a folder without entry, and keeps that folder closed', async () => {
    const summary = await scene.restore([scene.file('/no/entry/f', 'x', own)]);
    expect(read('no/entry/f')).toBe('x');
    expect(statSync(inTarget('no')).mode & 0o777).toBe(0o700);
    expect(summary).toMatchObject({ failed: 0, problemCounts: { note: 2, failure: 0 } });
  });
});

describe('the target', () => {
  it('is left as it is where it was there, and may be a symlink', async () => {
    const real = join(scene.folder, 'real');
    mkdirSync(real, { mode: 0o705 });
    symlinkSync(real, scene.target);
    await scene.restore(smallTree());
    expect(readFileSync(join(real, 'top'), 'utf8')).toBe('top');
    expect(statSync(real).mode & 0o777).toBe(0o705);
    expect(lstatSync(scene.target).isSymbolicLink()).toBe(true);
  });

  it('is made with all folders above it', async () => {
    const target = join(scene.folder, 'new/and/deep');
    await scene.restore(smallTree(), { target });
    expect(readFileSync(join(target, 'top'), 'utf8')).toBe('top');
  });

  it('is refused where it is a file', async () => {
    writeFileSync(scene.target, 'x');
    await expect(scene.restore(smallTree())).rejects.toMatchObject({ code: 'SYSTEM' });
    expect(readFileSync(scene.target, 'utf8')).toBe('x');
  });
});

describe('what is there already', () => {
  const setTime = (name: string): void => {
    // 2^-10 s: exact in the double that utimes takes.
    utimesSync(inTarget(name), 1_700_000_000.5, 1_700_000_000.5);
  };
  const sameTime = { ...own, mt: '1700000000.500000000' };

  beforeEach(() => {
    mkdirSync(scene.target);
    for (const [name, content] of [
      ['same', 'SAME'],
      ['size', 'other size'],
      ['time', 'time'],
    ] as const)
      writeFileSync(inTarget(name), content);
    for (const name of ['same', 'size']) setTime(name);
    symlinkSync('old', inTarget('link'));
    symlinkSync('to', inTarget('link-same'));
  });
  const lines = (): ManifestLine[] => [
    symlink('/link', 'new', sameTime),
    symlink('/link-same', 'to', sameTime),
    scene.file('/new', 'new', sameTime),
    scene.file('/same', 'same', { ...sameTime, mode: 0o640 }),
    scene.file('/size', 'size', sameTime),
    scene.file('/time', 'TIME', sameTime),
  ];

  it('gets only its metadata by default where size and time agree, and else is replaced', async () => {
    const summary = await scene.restore(lines());
    // The content differs: that it is still there shows that size and time were believed.
    expect([read('same'), read('size'), read('time'), read('new')]).toEqual(['SAME', 'size', 'TIME', 'new']);
    expect(statSync(inTarget('same')).mode & 0o777).toBe(0o640);
    expect(readlinkSync(inTarget('link'))).toBe('new');
    expect(lstatSync(inTarget('link-same')).mtimeMs).toBe(1_700_000_000_500);
    expect(summary.done).toEqual({ create: 1, replace: 3, 'set-metadata': 2, keep: 0, link: 0 });
    expect(summary.requests).toBe(3);
  });

  it('stays with `never`', async () => {
    const summary = await scene.restore(lines(), { overwrite: 'never' });
    expect([read('same'), read('size'), read('time'), read('new')]).toEqual([
      'SAME',
      'other size',
      'time',
      'new',
    ]);
    expect(readlinkSync(inTarget('link'))).toBe('old');
    expect(statSync(inTarget('same')).mode & 0o777).not.toBe(0o640);
    expect(summary.done).toEqual({ create: 1, replace: 0, 'set-metadata': 0, keep: 5, link: 0 });
  });

  it('is replaced with `always`', async () => {
    const summary = await scene.restore(lines(), { overwrite: 'always' });
    expect([read('same'), read('size'), read('time')]).toEqual(['same', 'size', 'TIME']);
    expect(summary.done).toEqual({ create: 1, replace: 5, 'set-metadata': 0, keep: 0, link: 0 });
  });

  it('is a problem where a folder is in the way of a file, or a file in the way of a folder', async () => {
    for (const name of ['f', 'h', 'l']) mkdirSync(inTarget(name));
    const summary = await scene.restore([
      scene.file('/f', 'x', own),
      scene.file('/g', 'y', { ...own, id: '1' }),
      scene.file('/h', 'y', { ...own, id: '1' }),
      symlink('/l', 'x', own),
      directory('/same', own),
      scene.file('/same/below', 'x', own),
    ]);
    expect(summary).toMatchObject({ failed: 5, problemCounts: { failure: 4 } });
    expect(summary.problems.map(({ code }) => code).sort()).toEqual([
      'folder-blocked',
      'in-the-way',
      'in-the-way',
      'in-the-way',
    ]);
    expect(read('same')).toBe('SAME');
  });

  it('with several names becomes a link again where it is a copy', async () => {
    for (const name of ['h1', 'h2']) {
      writeFileSync(inTarget(name), 'link');
      setTime(name);
    }
    const linked = (path: string) => scene.file(path, 'link', { ...sameTime, id: 'x' });
    await scene.restore([linked('/h1'), linked('/h2'), linked('/h3')]);
    const inodes = ['h1', 'h2', 'h3'].map((name) => statSync(inTarget(name)).ino);
    expect(new Set(inodes).size).toBe(1);
    scene.actions.length = 0;
    await scene.restore([linked('/h1'), linked('/h2'), linked('/h3')]);
    expect(scene.deeds()).toEqual({ '/h1': 'keep', '/h2': 'keep', '/h3': 'keep' });
  });
});

describe('a dry run', () => {
  it('tells what would be done, with bytes and requests, and does nothing', async () => {
    const tree = smallTree();
    const summary = await scene.restore(tree, { dryRun: true });
    expect(existsSync(scene.target)).toBe(false);
    expect(summary).toMatchObject({ dryRun: true, bytes: 11, requests: 3, done: { create: 7 } });
    expect(scene.store.gets.filter(({ key }) => key.startsWith('content/'))).toEqual([]);
  });

  it('tells of links, of what stays, and of what would be in the way', async () => {
    mkdirSync(inTarget('top'), { recursive: true });
    mkdirSync(inTarget('a'));
    writeFileSync(inTarget('a/text'), 'x');
    const linked = ['/z1', '/z2'].map((path) => scene.file(path, 'link', { ...own, id: 'x' }));
    const summary = await scene.restore([...smallTree(), ...linked], { dryRun: true });
    expect(scene.deeds()).toMatchObject({
      '/a': 'set-metadata',
      '/a/text': 'replace',
      '/z1': 'create',
      '/z2': 'link',
    });
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'in-the-way' }] });
    expect(read('a/text')).toBe('x');
    expect(readdirSync(scene.target).sort()).toEqual(['a', 'top']);
  });

  it('does what the real one then does', async () => {
    await scene.restore(smallTree(), { dryRun: true });
    const planned = scene.deeds();
    scene.actions.length = 0;
    await scene.restore(smallTree());
    expect(scene.deeds()).toEqual(planned);
  });
});

describe('failures', () => {
  const failing = (code: 'STORE_FAILED' | 'ACCESS_DENIED') => (): Readable => {
    throw new SysbackupError(code, `failed with ${code}`);
  };
  const entries = (count: number): ManifestLine[] =>
    Array.from({ length: count }, (_, index) =>
      scene.file(`/f${String(index).padStart(3, '0')}`, `c${index}`, own),
    );
  const refs = (lines: ManifestLine[]): string[] =>
    lines.flatMap((line) =>
      'dat' in line && line.dat && 'key' in line.dat ? [`${line.dat.key}@${line.dat.ver}`] : [],
    );

  it('of one object are a problem of its path', async () => {
    const lines = entries(20);
    for (const ref of refs(lines).slice(3, 6)) scene.store.replaced.set(ref, failing('STORE_FAILED'));
    const summary = await scene.restore(lines, { concurrency: 1 });
    expect(summary).toMatchObject({ failed: 3, done: { create: 17 }, problemCounts: { failure: 3 } });
    expect(readdirSync(scene.target)).toHaveLength(17);
    expect(scene.events.filter(({ type }) => type === 'problem')).toHaveLength(3);
  });

  it('of the store in a row end the restore, and folders get their modes nevertheless', async () => {
    const lines = [directory('/d', { ...own, mode: 0o755 }), ...entries(100)];
    for (const ref of refs(lines)) scene.store.replaced.set(ref, failing('STORE_FAILED'));
    await expect(scene.restore(lines)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(scene.store.gets.length).toBeLessThan(40);
    expect(statSync(inTarget('d')).mode & 0o777).toBe(0o755);
  });

  it('for lack of rights end it at once where nothing could be read, and else are a problem of the path', async () => {
    const lines = entries(20);
    for (const ref of refs(lines).slice(5)) scene.store.replaced.set(ref, failing('ACCESS_DENIED'));
    expect(await scene.restore(lines, { concurrency: 1 })).toMatchObject({ failed: 15 });
    for (const ref of refs(lines)) scene.store.replaced.set(ref, failing('ACCESS_DENIED'));
    const again = scene.restore(lines, { concurrency: 1, overwrite: 'always' });
    await expect(again).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(readdirSync(scene.target)).toHaveLength(5);
  });

  it('stop by a signal leaves no temporary file, and a second restore goes on', async () => {
    const controller = new AbortController();
    const lines = entries(30);
    const hanging = (): Readable => {
      setImmediate(() => controller.abort());
      return new Readable({ read: () => undefined });
    };
    const [, , , , , sixth = ''] = refs(lines);
    scene.store.replaced.set(sixth, hanging);
    const stopped = scene.restore(lines, { signal: controller.signal, concurrency: 2 });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    const left = readdirSync(scene.target);
    expect(left.filter((name) => !name.startsWith('f'))).toEqual([]);
    expect(left.length).toBeLessThan(30);
    scene.store.replaced.clear();
    scene.actions.length = 0;
    expect(await scene.restore(lines)).toMatchObject({ failed: 0, done: { keep: left.length } });
  });

  it('of a file with several names leave its other names a copy of their own', async () => {
    const bad = scene.object('bad bytes');
    const good = scene.file('/b', 'linked', { ...own, id: 'x' });
    const summary = await scene.restore([{ ...good, path: '/a', dat: bad }, good, { ...good, path: '/c' }]);
    expect(summary.failed).toBe(1);
    expect([read('b'), read('c')]).toEqual(['linked', 'linked']);
  });

  it('of a missing spool folder are said', async () => {
    const spoolFolder = join(scene.folder, 'missing');
    await expect(scene.restore([], { spoolFolder })).rejects.toMatchObject({ code: 'SYSTEM' });
  });
});

describe('what is told', () => {
  it('ends in the progress of all selected entries and bytes', async () => {
    await scene.restore(smallTree(), { exclude: ['/top'] });
    const last = scene.events.findLast(({ type }) => type === 'progress');
    expect(last).toMatchObject({ entries: 6, entriesTotal: 6, bytes: 8, bytesTotal: 8 });
  });

  it.skipIf(!asRoot)(
    'counts owners that cannot be set once, as a note (run as another user by root)',
    async () => {
      const nobody = 65_534;
      chmodSync(scene.folder, 0o777);
      chmodSync(scene.spool, 0o777);
      const lines = [
        directory('/d', { uid: 0, gid: 0, mode: 0o2755 }),
        scene.file('/d/a', 'a', { mode: 0o4755 }),
        scene.file('/d/b', 'b'),
        scene.file('/mine', 'c', { uid: nobody, gid: nobody }),
      ];
      process.setegid?.(nobody);
      process.seteuid?.(nobody);
      try {
        const summary = await scene.restore(lines);
        expect(summary).toMatchObject({ failed: 0, notSet: { owner: 3, group: 3 } });
        expect(summary.problemCounts.failure).toBe(0);
        expect(summary.problems.filter(({ code }) => code === 'owner-not-set')).toHaveLength(1);
      } finally {
        process.seteuid?.(0);
        process.setegid?.(0);
      }
      expect(statSync(inTarget('d/a')).mode & 0o7777).toBe(0o755);
      expect(statSync(inTarget('mine')).uid).toBe(nobody);
    },
  );

  it('keeps the exact time, to the nanosecond', async () => {
    await scene.restore([scene.file('/f', 'x', { ...own, mt: MT }), symlink('/l', 'x', { ...own, mt: MT })]);
    for (const name of ['f', 'l'])
      expect(lstatSync(inTarget(name), { bigint: true }).mtimeNs).toBe(1_700_000_000_123_456_789n);
  });

  it('restores an empty file without a request', async () => {
    expect(await scene.restore([file('/empty', '', own)])).toMatchObject({ requests: 0, failed: 0 });
    expect(statSync(inTarget('empty')).size).toBe(0);
  });
});
