import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pathFromText } from '#src/files/byte-path.js';
import { FoldedPaths, foldedPath } from '#src/restore/folded-paths.js';

const folded = (text: string): string => foldedPath(pathFromText(text));

describe('foldedPath', () => {
  it.each([
    ['/a/README', '/a/readme'],
    ['/Docs/x', '/docs/X'],
    // One letter in two normal forms, and in two cases.
    ['/\u00e9', '/e\u0301'],
    ['/\u00c9', '/e\u0301'],
    ['/\u03a3', '/\u03c2'],
    // vfat drops dots at the end of a name.
    ['/a./b', '/a/b...'],
  ])('is one for %s and %s', (a, b) => expect(folded(a)).toBe(folded(b)));

  it.each([
    ['/a', '/b'],
    ['/a/b', '/a.b'],
    ['/.a', '/a'],
  ])('is not one for %s and %s', (a, b) => expect(folded(a)).not.toBe(folded(b)));
});

describe('FoldedPaths', () => {
  it('finds all paths that fold into one, and of other paths hardly any', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', 'A', 'b', 'B', '1', 'é', 'É'),
      minLength: 1,
      maxLength: 4,
    });
    const paths = fc.uniqueArray(name, { maxLength: 400 });
    fc.assert(
      fc.property(paths, (names) => {
        const found = new FoldedPaths();
        const all = names.map((text) => pathFromText(`/${text}`));
        for (const path of all) found.add(path);
        found.close();
        const counts = new Map<string, number>();
        for (const path of all) counts.set(foldedPath(path), (counts.get(foldedPath(path)) ?? 0) + 1);
        for (const path of all)
          if ((counts.get(foldedPath(path)) ?? 0) > 1) expect(found.mayCollide(path)).toBe(true);
        const alone = all.filter((path) => counts.get(foldedPath(path)) === 1);
        expect(alone.filter((path) => found.mayCollide(path)).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('takes few bytes for a path', () => {
    const found = new FoldedPaths();
    for (let at = 0; at < 200_000; at++) found.add(pathFromText(`/srv/data/file-${at}`));
    expect(
      [...Array(200_000).keys()].filter((at) => found.mayCollide(pathFromText(`/srv/data/file-${at}`)))
        .length,
    ).toBeLessThan(50);
  });
});
