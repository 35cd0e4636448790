import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Gatherer } from '#src/archive/gather.js';
import { PickTaker } from '#src/archive/pick-taker.js';
import { PickedPaths } from '#src/archive/picked-paths.js';
import { KnownEntries } from '#src/catalog/known-entries.js';
import { LEADS_TO } from '#src/catalog/print-order.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { lstat } from '#src/files/stat.js';
import { lstatPacked } from '#src/files/stat-batch.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeCatalog } from '../../kit/catalog-files.js';
import { byBytes, PickScene } from '../../kit/pick-scene.js';
import { temporaryFolder } from '../../kit/temporary.js';

describe('PickTaker of symlinks', () => {
  /** A tree with links of all kinds, all of it known with where they led. */
  async function linked(blockSize = 3): Promise<PickScene> {
    const scene = new PickScene();
    for (const name of ['d/file', 'd/e/deep', 'x/other']) scene.file(name);
    const links: [string, string][] = [
      ['to-file', 'd/file'],
      ['x/up', '../d/file'],
      ['absolute', scene.at('d/e/deep')],
      ['to-folder', 'd/e'],
      ['through', 'to-folder/deep'],
      ['z-chain', 'to-file'],
      ['dotted', 'd/e/../file'],
      ['dangling', 'nothing'],
    ];
    for (const [name, target] of links) symlinkSync(target, scene.at(name));
    await scene.remember(blockSize);
    scene.learn(scene.names());
    return scene;
  }

  it.each([1, 3, 100])(
    'has each of them and what it leads to, confirmed or gathered, in blocks of %i',
    async (blockSize) => {
      const scene = await linked(blockSize);
      for (const names of [scene.names(), scene.names().toReversed()]) {
        const { confirmed, others, problems } = scene.pick(names);
        expect([...new Set([...confirmed, ...others])].toSorted(byBytes)).toEqual(names.toSorted(byBytes));
        expect(problems).toEqual([]);
      }
      // By one step, by what their text says alone, and in no other's chain before.
      const { confirmed } = scene.pick(scene.names());
      expect(confirmed).toEqual(expect.arrayContaining(['to-file', 'x/up', 'absolute', 'to-folder']));
    },
  );

  it('has what it leads to where that is not printed', async () => {
    const scene = await linked();
    const links = ['absolute', 'dangling', 'dotted', 'through', 'to-file', 'to-folder', 'x/up', 'z-chain'];
    const { confirmed, others } = scene.pick(links);
    expect([...new Set([...confirmed, ...others])].toSorted(byBytes)).toEqual(
      [...links, 'd', 'd/e', 'd/e/deep', 'd/file', 'x'].toSorted(byBytes),
    );
  });

  const RETARGETED: Record<string, { change: (scene: PickScene) => void; has: string[] }> = {
    'is replaced': {
      change: (scene) => {
        rmSync(scene.at('to-file'));
        symlinkSync('x/other', scene.at('to-file'));
      },
      has: ['to-file', 'x', 'x/other'],
    },
    'leads to a file that is a link now': {
      change: (scene) => {
        rmSync(scene.at('d/file'));
        symlinkSync('../x/other', scene.at('d/file'));
      },
      has: ['to-file', 'd', 'd/file', 'x', 'x/other'],
    },
    'leads through a folder that is a link now': {
      change: (scene) => {
        renameSync(scene.at('d'), scene.at('moved'));
        symlinkSync('moved', scene.at('d'));
      },
      has: ['to-file', 'd', 'moved', 'moved/file'],
    },
    'leads to what has changed': {
      change: (scene) => chmodSync(scene.at('d/file'), 0o600),
      has: ['to-file', 'd', 'd/file'],
    },
    'leads to what is gone': { change: (scene) => rmSync(scene.at('d/file')), has: ['to-file', 'd'] },
    'leads to what is a folder now': {
      change: (scene) => {
        rmSync(scene.at('d/file'));
        mkdirSync(scene.at('d/file'));
      },
      has: ['to-file', 'd', 'd/file'],
    },
  };
  it.each(Object.entries(RETARGETED))(
    'has all of where it leads now that it %s',
    async (_, { change, has }) => {
      const scene = await linked();
      const before = scene.names();
      change(scene);
      for (const names of [['to-file'], ['to-file', 'd/file'], ['d/file', 'to-file'], before]) {
        const { confirmed, others } = scene.pick(names);
        const taken = [...new Set([...confirmed, ...others])];
        expect(taken).toEqual(expect.arrayContaining(has));
        for (const name of taken) expect(lstat(scene.at(name))).not.toBeTypeOf('string');
      }
    },
  );

  it('lets go of what a catalog of before has of the kernel’s, which it followed links to', () => {
    const root = temporaryFolder();
    symlinkSync('/proc/cpuinfo', join(root, 'cpu'));
    const link = pathFromText(join(root, 'cpu'));
    const paths = [pathFromText('/proc/cpuinfo'), link].toSorted(byBytes) as BytePath[];
    const entries = paths.map((path) => {
      const stat = lstat(path);
      return typeof stat === 'string' ? expect.fail(stat) : { path, stat: stat.bytes };
    });
    const { entriesPath, manifestPath, membersAt } = writeCatalog(temporaryFolder(), [entries]);
    // Printed was the link, which leads to the other.
    const order = Uint32Array.of(paths.indexOf(link) | LEADS_TO, 1 - paths.indexOf(link));
    const known = new KnownEntries(entriesPath, manifestPath, membersAt, order);
    onTestFinished(() => known.close());
    const picked = new PickedPaths(temporaryFolder());
    const gatherer = new Gatherer(picked, () => expect.fail('a problem'), 0n);
    const taker = new PickTaker(gatherer, known);
    const packed = PackedPaths.of([link]);
    taker.pickAll(packed, 'test', lstatPacked(packed.bytes, packed.ends));
    taker.end();
    expect(taker.confirmed.count).toBe(0);
    const taken = [...picked.batches()].flatMap((batch) => batch.paths);
    expect(taken).toContain(link);
    expect(taken.filter((path) => path.startsWith('/proc'))).toEqual([]);
  });

  it('has where a link leads whose way was bent, its end being as it was', async () => {
    const scene = await linked();
    // `through` went by `to-folder`, which leads elsewhere now.
    scene.file('x/deep', 'another one');
    rmSync(scene.at('to-folder'));
    symlinkSync('x', scene.at('to-folder'));
    const { confirmed, others } = scene.pick(['d/e/deep', 'through', 'to-folder']);
    expect(others).toContain('x/deep');
    expect(confirmed).toContain('d/e/deep');
  });
});
