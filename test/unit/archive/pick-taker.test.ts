import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Gatherer } from '#src/archive/gather.js';
import { PickTaker } from '#src/archive/pick-taker.js';
import { PickedPaths } from '#src/archive/picked-paths.js';
import { pathForFs, pathFromText } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { lstatPacked } from '#src/files/stat-batch.js';
import { describe, expect, it } from 'vitest';
import { byBytes, PickScene } from '../../kit/pick-scene.js';
import { temporaryFolder } from '../../kit/temporary.js';

async function sceneWith(files: readonly string[], blockSize = 3): Promise<PickScene> {
  const scene = new PickScene();
  for (const file of files) scene.file(file);
  await scene.remember(blockSize);
  return scene;
}

describe('PickTaker', () => {
  it.each([1, 2, 100])(
    'confirms all of a tree in which nothing changed, in blocks of %i',
    async (blockSize) => {
      const scene = await sceneWith(['a/x', 'a/y', 'a-b', 'a.b/z', 'b/c/d/e', 'c'], blockSize);
      for (const names of [scene.names(), scene.names().toReversed()]) {
        const { confirmed, problems } = scene.pick(names);
        expect(confirmed).toEqual(names.toSorted(byBytes));
        expect(problems).toEqual([]);
      }
      expect(scene.pick(scene.names()).others).toEqual([]);
    },
  );

  it('does not believe an older catalog that a file is empty, which nobody had looked into', async () => {
    const scene = new PickScene();
    scene.file('empty', '');
    scene.file('full');
    mkdirSync(join(scene.root, 'folder'));
    await scene.remember(3, [], true);
    expect(scene.pick(scene.names())).toMatchObject({ confirmed: ['folder', 'full'], others: ['empty'] });
    await scene.remember();
    expect(scene.pick(scene.names()).others).toEqual([]);
  });

  it('takes nothing for known without a catalog', () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), '');
    const picked = new PickedPaths(temporaryFolder());
    const taker = new PickTaker(new Gatherer(picked, () => undefined, 0n), undefined);
    const packed = PackedPaths.of([pathFromText(join(root, 'file'))]);
    taker.pickAll(packed, 'test', lstatPacked(packed.bytes, packed.ends));
    taker.end();
    expect([...picked.batches()].flatMap(({ paths }) => paths)).toContain(join(root, 'file'));
    expect(taker.confirmed.count).toBe(0);
  });

  const CHANGES: Record<string, (path: string, scene: PickScene) => void> = {
    'has other content of the same size, with its time put back': (path) => {
      const { atime, mtime } = lstatSync(path);
      writeFileSync(
        path,
        readFileSync(path).map((byte) => byte ^ 1),
      );
      utimesSync(path, atime, mtime);
    },
    'has more content': (path) => writeFileSync(path, 'more', { flag: 'a' }),
    'has another mode': (path) => chmodSync(path, 0o600),
    'has another time': (path) => utimesSync(path, 1, 1),
    'has one more name': (path, scene) => linkSync(path, scene.at('one more')),
    'is another file with the same content, mode and time': (path) => {
      const { atime, mtime } = lstatSync(path);
      writeFileSync(`${path}.new`, readFileSync(path));
      utimesSync(`${path}.new`, atime, mtime);
      renameSync(`${path}.new`, path);
    },
    'has become a folder': (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  };
  it.each(Object.entries(CHANGES))('leaves to the gatherer a file that %s', async (_, change) => {
    const scene = await sceneWith(['d/a', 'd/b', 'd/c']);
    change(scene.at('d/b'), scene);
    const { confirmed, others, problems } = scene.pick(['d/a', 'd/b', 'd/c']);
    expect(confirmed).toEqual(['d/a', 'd/c']);
    expect(others).toEqual(['d', 'd/b']);
    expect(problems).toEqual([]);
  });

  it('does not confirm what has become a link, a special file, or nothing', async () => {
    const scene = await sceneWith(['d/a', 'd/b', 'd/c', 'd/keep', 'other']);
    for (const name of ['d/a', 'd/b', 'd/c']) rmSync(scene.at(name));
    symlinkSync('../other', scene.at('d/a'));
    execFileSync('mkfifo', [scene.at('d/b')]);
    const { confirmed, others, problems } = scene.pick(['d/a', 'd/b', 'd/c', 'd/keep']);
    expect(confirmed).toEqual(['d/keep']);
    expect(others).toEqual(['d', 'd/a', 'other']);
    expect(problems.map(({ code }) => code).toSorted()).toEqual(['missing', 'special-file']);
  });

  it('takes the folders above what it confirms, where a picker prints files only', async () => {
    const scene = await sceneWith(['a/b/c/file', 'a/b/file', 'z/file']);
    const { confirmed, others } = scene.pick(['a/b/c/file', 'a/b/file', 'z/file']);
    expect(confirmed).toEqual(['a/b/c/file', 'a/b/file', 'z/file']);
    expect(others).toEqual(['a', 'a/b', 'a/b/c', 'z']);
  });

  it('takes the folders above a folder that it confirms', async () => {
    const scene = await sceneWith(['a/b/c/file']);
    const { confirmed, others } = scene.pick(['a/b/c', 'a/b/c/file']);
    expect(confirmed).toEqual(['a/b/c', 'a/b/c/file']);
    expect(others).toEqual(['a', 'a/b']);
  });

  it('does not confirm what is not settled', async () => {
    const scene = new PickScene();
    for (const name of ['d/a', 'd/b']) scene.file(name);
    await scene.remember(3, ['d/a', 'd']);
    const { confirmed, others } = scene.pick(['d', 'd/a', 'd/b']);
    expect(confirmed).toEqual(['d/b']);
    expect(others).toEqual(['d', 'd/a']);
  });

  it('takes a path that is printed twice for one', async () => {
    const scene = await sceneWith(['d/a', 'd/b']);
    const { confirmed, others } = scene.pick(['d', 'd/a', 'd/a', 'd', 'd/b', 'd/a']);
    expect(confirmed).toEqual(['d', 'd/a', 'd/b']);
    expect(others).toEqual([]);
  });

  it('takes a path with dots or repeated slashes at its real place', async () => {
    const scene = await sceneWith(['d/a', 'd/e/b', 'd/c']);
    symlinkSync('d/e', scene.at('link'));
    const odd = ['/d//a', '/d/e/../c', '//d/./e/b', '/d/e/', '/link/../c'].map((path) =>
      pathFromText(`${scene.root}${path}`),
    );
    const { confirmed, others, problems } = scene.take(odd);
    expect(confirmed).toEqual([]);
    expect(others).toEqual(['d', 'd/a', 'd/c', 'd/e', 'd/e/b', 'link']);
    expect(problems).toEqual([]);
  });

  it('knows names with newlines, names that are no UTF-8, and names that begin alike', async () => {
    const names = [
      'new\nline',
      'new',
      'new\nline ',
      '\xff\xfe',
      '\xff',
      '\xc3\xbc',
      'a',
      'a-b',
      'ab',
      '\x01',
      ' ',
    ];
    const scene = new PickScene();
    mkdirSync(scene.at('d'));
    for (const name of names) writeFileSync(pathForFs(scene.at(`d/${name}`)), name);
    await scene.remember(2);
    chmodSync(pathForFs(scene.at('d/\xff')), 0o600);
    const { confirmed, others } = scene.pick(names.map((name) => `d/${name}`));
    expect(confirmed).toEqual(
      names
        .filter((name) => name !== '\xff')
        .map((name) => `d/${name}`)
        .toSorted(byBytes),
    );
    expect(others).toEqual(['d', 'd/\xff']);
  });
});

describe('PickTaker of a folder that is elsewhere now', () => {
  /** Moves a folder and leaves a symlink in its place: of all that is in it not a stat changes. */
  function moveAway(scene: PickScene, from: string, to: string): void {
    renameSync(scene.at(from), scene.at(to));
    symlinkSync(scene.at(to), scene.at(from));
  }

  it.each([1, 2, 100])('takes what is in it at its real place, in blocks of %i', async (blockSize) => {
    const scene = await sceneWith(['a/x/1', 'a/x/2', 'b/y/1', 'b/y/2', 'c/1'], blockSize);
    const before = scene.names();
    moveAway(scene, 'b', 'moved');
    for (const names of [before, before.toReversed(), ['b/y/2', 'a/x/1', 'b/y/1']]) {
      const { confirmed, others } = scene.pick(names);
      expect(confirmed.filter((name) => /^b(?:\/|$)/.test(name))).toEqual([]);
      const moved = names.filter((name) => name.startsWith('b/')).map((name) => `moved${name.slice(1)}`);
      expect(others).toEqual(expect.arrayContaining(['b', 'moved', 'moved/y', ...moved]));
      expect(confirmed).toContain('a/x/1');
    }
  });

  it('takes it at its real place also where only the folder above that was moved', async () => {
    const scene = await sceneWith(['a/b/c/d/file', 'other'], 1);
    moveAway(scene, 'a/b', 'moved');
    const { confirmed, others } = scene.pick(['other', 'a/b/c/d/file']);
    expect(confirmed).toEqual(['other']);
    expect(others).toEqual(['a', 'a/b', 'moved', 'moved/c', 'moved/c/d', 'moved/c/d/file']);
  });

  it('does not know a folder again that took the place of another with the same names', async () => {
    const scene = await sceneWith(['a/file', 'b/file']);
    renameSync(scene.at('a'), scene.at('t'));
    renameSync(scene.at('b'), scene.at('a'));
    renameSync(scene.at('t'), scene.at('b'));
    expect(scene.pick(['a', 'a/file', 'b', 'b/file']).confirmed).toEqual([]);
  });

  it('confirms what was moved away and back', async () => {
    const scene = await sceneWith(['a/b/file']);
    renameSync(scene.at('a'), scene.at('t'));
    renameSync(scene.at('t'), scene.at('a'));
    const { confirmed, others } = scene.pick(['a', 'a/b', 'a/b/file']);
    expect(confirmed).toEqual(['a/b', 'a/b/file']);
    expect(others).toEqual(['a']);
  });
});
