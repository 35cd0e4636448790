import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { lstatPacked, type StatBatch } from '#src/files/stat-batch.js';
import { FileStat, lstat, PACKED_STAT_SIZE } from '#src/files/stat.js';
import { StatPool } from '#src/files/stat-pool.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

/** Enough that threads are worth their start, many times over. */
const BATCHES = 60;
const BATCH = 1000;

function poolOf(threads: number, start?: () => Worker): StatPool {
  const pool = new StatPool(threads, start);
  onTestFinished(() => pool.close());
  return pool;
}

function lstatAll(paths: readonly BytePath[]): StatBatch {
  const { bytes, ends } = PackedPaths.of(paths);
  return lstatPacked(bytes, ends);
}

/** Names of all kinds, and one that is not there. */
function batchIn(folder: string): BytePath[] {
  const latin1 = `${folder}/\xe4` as BytePath;
  const names = ['a', 'b with blanks', 'new\nline'].map((name) => join(folder, name));
  for (const name of names) writeFileSync(name, name);
  writeFileSync(Buffer.from(latin1, 'latin1'), 'x');
  mkdirSync(join(folder, 'folder'));
  const paths = [...names.map(pathFromText), latin1, pathFromText(join(folder, 'folder'))];
  return [...paths, pathFromText(join(folder, 'missing'))];
}

describe('lstat of many paths', () => {
  it('says of each what lstat of it alone says', () => {
    const paths = batchIn(temporaryFolder());
    const { words, errors } = lstatAll(paths);
    for (const [index, path] of paths.entries()) {
      const alone = lstat(path);
      if (typeof alone === 'string') {
        expect(errors.get(index)).toBe(alone);
        continue;
      }
      const packed = Buffer.from(words.buffer, index * PACKED_STAT_SIZE, PACKED_STAT_SIZE);
      expect(packed.equals(alone.bytes)).toBe(true);
      expect(new FileStat(packed).kind).toBe(alone.kind);
    }
    expect([...errors]).toEqual([[paths.length - 1, 'ENOENT']]);
  });

  it('says so in other threads too, each answer to its own question', async () => {
    const root = temporaryFolder();
    const all = batchIn(root);
    const pool = poolOf(2);
    let elsewhere = 0;
    const answers = Array.from({ length: BATCHES }, (_, batch) => {
      // Every batch asks for others, so that an answer to another question would show.
      const paths = Array.from(
        { length: BATCH },
        (_, index) => all[(index * (batch + 1)) % all.length] as BytePath,
      );
      const answer = pool.lstat(PackedPaths.of(paths));
      if (answer instanceof Promise) elsewhere++;
      return { paths, answer };
    });
    for (const { paths, answer } of answers) {
      const { words, errors } = await answer;
      const expected = lstatAll(paths);
      expect(Buffer.from(words.buffer).equals(Buffer.from(expected.words.buffer))).toBe(true);
      expect(errors).toEqual(expected.errors);
    }
    expect(elsewhere).toBeGreaterThan(0);
  });

  it('does itself what a thread that dies leaves undone', async () => {
    const root = temporaryFolder();
    const paths = Array.from({ length: BATCH }, () => pathFromText(root));
    const pool = poolOf(
      1,
      () =>
        new Worker('require("node:worker_threads").parentPort.once("message", () => process.exit(3))', {
          eval: true,
        }),
    );
    const answers = Array.from({ length: BATCHES }, () => pool.lstat(PackedPaths.of(paths)));
    expect(answers.some((answer) => answer instanceof Promise)).toBe(true);
    const expected = Buffer.from(lstatAll(paths).words.buffer);
    for (const answer of answers)
      expect(Buffer.from((await answer).words.buffer).equals(expected)).toBe(true);
  });

  it('tells what cannot be reached, by its errno', () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), '');
    chmodSync(join(root, 'file'), 0o600);
    const below = pathFromText(join(root, 'file/below'));
    const long = pathFromText(`/${'x'.repeat(5000)}`);
    expect([...lstatAll([below, long]).errors]).toEqual([
      [0, 'ENOTDIR'],
      [1, 'ENAMETOOLONG'],
    ]);
  });
});
