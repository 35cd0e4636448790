import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { expectSame } from '../../../bench/trees/compare.js';
import { generatedTree } from '../../../bench/trees/generate.js';
import { survey } from '../../../bench/trees/tree.js';
import { temporaryFolder } from '../../kit/temporary.js';

describe('expectSame', () => {
  let original: string;
  let restored: string;

  beforeEach(() => {
    const folder = temporaryFolder();
    original = join(folder, 'original');
    restored = join(folder, 'restored');
    mkdirSync(join(original, 'a', 'empty'), { recursive: true });
    // Longer than what is compared at a time.
    writeFileSync(join(original, 'a', 'long'), Buffer.alloc(2_500_000, 'x'));
    symlinkSync('long', join(original, 'a', 'link'));
    cpSync(original, restored, { recursive: true, verbatimSymlinks: true });
  });

  it('takes a whole copy', () => {
    expect(() => expectSame(original, restored)).not.toThrow();
  });

  it('finds one byte at the end of a long file', () => {
    writeFileSync(join(restored, 'a', 'long'), `${'x'.repeat(2_499_999)}y`);
    expect(() => expectSame(original, restored)).toThrow('/a/long came back different');
  });

  it('finds what is missing, what is too much, and what is of another kind', () => {
    rmSync(join(restored, 'a', 'long'));
    expect(() => expectSame(original, restored)).toThrow('/a/long did not come back');
    mkdirSync(join(restored, 'a', 'long'));
    expect(() => expectSame(original, restored)).toThrow('/a/long came back different');
    expect(() => expectSame(restored, join(restored, 'a'))).toThrow('did not come back');
    cpSync(original, join(restored, 'more'), { recursive: true, verbatimSymlinks: true });
    rmSync(join(restored, 'a'), { recursive: true });
    cpSync(join(original, 'a'), join(restored, 'a'), { recursive: true, verbatimSymlinks: true });
    expect(() => expectSame(original, restored)).toThrow('/more came back and was not there');
  });

  it('finds a link that points elsewhere', () => {
    rmSync(join(restored, 'a', 'link'));
    symlinkSync('empty', join(restored, 'a', 'link'));
    expect(() => expectSame(original, restored)).toThrow('/a/link came back different');
  });

  it('does not ask for what a program does not keep', () => {
    rmSync(join(restored, 'a', 'link'));
    rmSync(join(restored, 'a', 'empty'), { recursive: true });
    expect(() => expectSame(original, restored)).toThrow('did not come back');
    expect(() => expectSame(original, restored, { links: true, emptyFolders: true })).not.toThrow();
  });
});

describe('generatedTree', () => {
  it('makes the same tree for the same plan, and no two files alike', () => {
    const [one, other] = [temporaryFolder(), temporaryFolder()];
    const plan = { files: 60, sizes: 'mixed' } as const;
    const tree = generatedTree(one, plan);
    expect(tree).toMatchObject({ files: 60, links: 2 });
    expectSame(tree.path, generatedTree(other, plan).path);
    expect(generatedTree(one, { files: 3, sizes: 4096 }).bytes).toBe(3 * 4096);
  });

  it('makes anew what was not finished', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, '5-tiny'));
    writeFileSync(join(folder, '5-tiny', 'left behind'), '');
    expect(survey(generatedTree(folder, { files: 5, sizes: 'tiny' }).path).files).toBe(5);
  });
});
