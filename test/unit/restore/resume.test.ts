import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ManifestLine } from '#src/manifest/types.js';
import { runProgram, summaryIn } from '../../kit/built-program.js';
import { ConfFolder } from '../../kit/conf-folder.js';
import { killedAt } from '../../kit/killed-at.js';
import { describeTree } from '../cli/tree.js';
import { directory } from '../manifest/build-manifest.js';
import { own, Scene } from './scene.js';

const LEFT = '.s3-sysbackup-0123456789abcdef01';

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(() => scene.remove());

const inTarget = (...names: string[]): string => join(scene.target, ...names);
const read = (name: string): string => readFileSync(inTarget(name), 'utf8');
const mt = '1700000000.500000000';

describe('--checksum', () => {
  const plant = (name: string, content: string, seconds = 1_700_000_000.5): void => {
    mkdirSync(scene.target, { recursive: true });
    writeFileSync(inTarget(name), content);
    utimesSync(inTarget(name), seconds, seconds);
  };
  const entries = (): ManifestLine[] =>
    ['right', 'touched', 'wrong'].map((name) => scene.file(`/${name}`, name, { ...own, mt, mode: 0o640 }));

  it('fetches what has the right size and time but other content, and not what has another time only', async () => {
    plant('right', 'right');
    plant('touched', 'touched', 5);
    plant('wrong', 'WRONG');
    const summary = await scene.restore(entries(), { checksum: true });
    expect(summary).toMatchObject({ requests: 1, done: { replace: 1, 'set-metadata': 2 } });
    expect(read('wrong')).toBe('wrong');
    for (const name of ['right', 'touched', 'wrong'])
      expect(statSync(inTarget(name))).toMatchObject({ mtimeMs: 1_700_000_000_500, mode: 0o100640 });
  });

  it('tells the same in a dry run, and writes nothing', async () => {
    plant('right', 'right');
    plant('wrong', 'WRONG');
    await scene.restore(entries(), { checksum: true, dryRun: true });
    expect(scene.deeds()).toEqual({ '/right': 'set-metadata', '/touched': 'create', '/wrong': 'replace' });
    expect(read('wrong')).toBe('WRONG');
  });

  it('sees through a wrong file with several names', async () => {
    const lines = ['/a', '/b'].map((path) => scene.file(path, 'linked', { ...own, mt, id: 'x' }));
    plant('a', 'LINKED');
    linkSync(inTarget('a'), inTarget('b'));
    await scene.restore(lines, { checksum: true });
    expect([read('a'), read('b')]).toEqual(['linked', 'linked']);
    expect(statSync(inTarget('a')).ino).toBe(statSync(inTarget('b')).ino);
    scene.actions.length = 0;
    await scene.restore(lines, { checksum: true });
    expect(scene.deeds()).toEqual({ '/a': 'keep', '/b': 'keep' });
  });

  it('reads no file through a symlink that stands there', async () => {
    writeFileSync(join(scene.outside, 'f'), 'right');
    utimesSync(join(scene.outside, 'f'), 1_700_000_000.5, 1_700_000_000.5);
    mkdirSync(scene.target);
    symlinkSync(join(scene.outside, 'f'), inTarget('right'));
    await scene.restore(entries().slice(0, 1), { checksum: true });
    expect(scene.deeds()).toEqual({ '/right': 'replace' });
  });
});

describe('a restore that was interrupted', () => {
  const tree = (): ManifestLine[] => [
    directory('/', { ...own, mode: 0o711, mt }),
    directory('/a', { ...own, mode: 0o750, mt }),
    directory('/a/b', { ...own, mode: 0o550, mt }),
    scene.file('/a/b/one', 'one', own),
    scene.file('/a/b/two', 'two', own),
  ];
  const interrupted = async (options: Parameters<Scene['restore']>[1]): Promise<void> => {
    const controller = new AbortController();
    const lines = tree();
    const [last] = lines.slice(-1);
    const ref =
      last && 'dat' in last && last.dat && 'key' in last.dat ? `${last.dat.key}@${last.dat.ver}` : '';
    scene.store.replaced.set(ref, () => {
      setImmediate(() => controller.abort());
      return new Readable({ read: () => undefined });
    });
    const stopped = scene.restore(lines, { ...options, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    scene.store.replaced.clear();
    expect(readdirSync(inTarget('a/b'))).toEqual(['one']);
    writeFileSync(inTarget('a/b', LEFT), 'half of a file');
  };
  const expectWhole = (): void => {
    expect(readdirSync(inTarget('a/b')).sort()).toEqual(['one', 'two']);
    for (const [name, mode] of [
      ['.', 0o711],
      ['a', 0o750],
      ['a/b', 0o550],
    ] as const) {
      const { mode: is, mtimeMs } = statSync(inTarget(name));
      expect([name, is & 0o777, mtimeMs]).toEqual([name, mode, 1_700_000_000_500]);
    }
    expect(readdirSync(scene.spool)).toEqual([]);
  };

  it.each([
    ['all', {}],
    ['a file in folders that were not selected', { include: ['/a/b/one', '/a/b/two'] }],
    ['what is not there', { overwrite: 'never' as const }],
  ])('goes on with %s: as if it had not been', async (_what, options) => {
    await interrupted(options);
    scene.actions.length = 0;
    const summary = await scene.restore(tree(), options);
    expect(summary).toMatchObject({ failed: 0, requests: 1 });
    expectWhole();
  });

  it('leaves temporary names alone in a target where none was interrupted', async () => {
    mkdirSync(inTarget('a/b'), { recursive: true });
    writeFileSync(inTarget('a/b', LEFT), "another program's");
    await scene.restore(tree());
    expect(existsSync(inTarget('a/b', LEFT))).toBe(true);
  });

  it('is not gone on with from a note that somebody else put there', async () => {
    await interrupted({});
    const [note = ''] = readdirSync(scene.spool);
    linkSync(join(scene.spool, note), join(scene.outside, 'kept'));
    const before = readFileSync(join(scene.outside, 'kept'), 'utf8');
    await scene.restore(tree());
    expect(existsSync(inTarget('a/b', LEFT))).toBe(true);
    expect(readFileSync(join(scene.outside, 'kept'), 'utf8')).toBe(before);
  });

  it.each(['SIGKILL', 'SIGINT'] as const)(
    'by %s, goes on in the next one, as the built program does it',
    async (signal) => {
      const backup = ConfFolder.make();
      backup.conf();
      const data = backup.at('data');
      for (let folder = 0; folder < 20; folder += 1) {
        mkdirSync(join(data, `d${folder}`), { recursive: true });
        for (let index = 0; index < 40; index += 1)
          writeFileSync(join(data, `d${folder}/f${index}`), `${folder} ${index}`);
        chmodSync(join(data, `d${folder}`), 0o750);
        utimesSync(join(data, `d${folder}`), 1000 + folder, 2000 + folder);
      }
      backup.picker('data', `find '${data}' -print0`);
      expect((await runProgram(['archive', '--conf-dir', backup.confDir])).code).toBe(0);
      const target = backup.at('target');
      const args = ['restore', '--conf-dir', backup.confDir, '--target', target];
      const killed = await runProgram([...args, '--json', '--log-level', 'debug'], {
        env: killedAt({ type: 'path', count: 100, operations: 0, signal }),
      });
      expect([killed.signal, killed.code]).toEqual(signal === 'SIGKILL' ? [signal, null] : [null, 130]);
      if (signal === 'SIGINT') expect(killed.stderr).toContain('the same command goes on');
      const half = readdirSync(join(target, data), { recursive: true });
      expect(half.length).toBeLessThan(820);
      if (signal === 'SIGKILL') writeFileSync(join(target, data, 'd0', LEFT), 'half of a file');
      const ended = await runProgram([...args, '--json']);
      expect(ended.code).toBe(0);
      expect(summaryIn(ended.stdout)).toMatchObject({ done: { replace: 0 }, selected: { f: 800 } });
      expect(describeTree(join(target, data))).toEqual(describeTree(data));
      expect(statSync(target).mode).toBe(statSync('/').mode);
    },
  );
});
