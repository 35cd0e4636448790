import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Change, diffRuns } from '#src/audit/diff.js';
import type { ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import { directory, file, KEY, manifestOf, sha256, symlink } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

async function diff(
  before: readonly ManifestLine[] | Buffer,
  after: readonly ManifestLine[] | Buffer,
): Promise<Change[]> {
  const store = new FakeStore();
  const [old, young] = [before, after].map((lines) => ({
    key: KEY,
    version: store.add(KEY, Buffer.isBuffer(lines) ? lines : manifestOf([...lines])),
  }));
  if (!old || !young) throw new Error('no runs');
  const changes: Change[] = [];
  for await (const batch of diffRuns({ store, before: old, after: young })) changes.push(...batch);
  return changes;
}

function snapshot(name: string, content: string, more: Partial<SnapshotEntry> = {}): SnapshotEntry {
  const dat = { key: `snapshots/${name}`, ver: 'v1' };
  return { typ: 's', name, dat, sha: sha256(content), size: content.length, ...more };
}

const nameOf = (change: Change): string => {
  const entry = change.change === 'removed' ? change.before : change.after;
  return entry.typ === 's' ? entry.name : (entry.path ?? '');
};

describe('diffRuns', () => {
  it.each<[string, ManifestLine, ManifestLine]>([
    ['content', file('/f', 'one'), file('/f', 'two')],
    ['mode', file('/f', 'x'), file('/f', 'x', { mode: 0o600 })],
    ['owner', file('/f', 'x'), file('/f', 'x', { o: 'alice', uid: 1000 })],
    ['owner', directory('/f'), directory('/f', { uid: 1 })],
    ['group', directory('/f'), directory('/f', { g: 'wheel', gid: 10 })],
    ['acl', file('/f', 'x'), file('/f', 'x', { acl: 'user::rw-' })],
    ['xattr', file('/f', 'x'), file('/f', 'x', { xattr: { 'user.a': '' } })],
    [
      'xattr',
      symlink('/f', 't', { xattr: { 'trusted.a': 'eA==' } }),
      symlink('/f', 't', { xattr: { 'trusted.a': 'eQ==' } }),
    ],
    ['time', directory('/f'), directory('/f', { mt: '1.000000001' })],
    ['target', symlink('/f', 't'), symlink('/f', 'u')],
    ['kind', directory('/f'), file('/f', 'x', { mode: 0o600 })],
    ['content', snapshot('f', 'a'), snapshot('f', 'b')],
    ['description', snapshot('f', 'a'), snapshot('f', 'a', { restore_through: 'psql' })],
  ])('sees that the %s changed', async (part, before, after) => {
    expect(await diff([before], [after])).toEqual([{ change: 'changed', before, after, parts: [part] }]);
  });

  it('does not care for where the bytes are, which version wrote them, nor for other names of the inode', async () => {
    const [one, two] = [file('/f', 'x', { id: '1:2' }), file('/f', 'x', { w: ['unlocked-copy'] })];
    one.dat = [{ key: `content/${sha256('x')}`, ver: 'other', enc: 'gzip', size: 1 }];
    expect(await diff([one], [two])).toEqual([]);
  });

  it('goes by the order of bytes, where that is not that of folders', async () => {
    const before = ['/a', '/a-b', '/a/x'].map((path) => directory(path));
    const after = ['/a', '/a.b', '/a/x', '/ä'].map((path) => directory(path));
    const changes = await diff(before, after);
    expect(changes.map((change) => [change.change, nameOf(change)])).toEqual([
      ['removed', '/a-b'],
      ['added', '/a.b'],
      ['added', '/ä'],
    ]);
  });

  it('is what sets say, whatever the runs', async () => {
    const paths = fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 8 });
    const run = fc.tuple(paths, paths).map(([files, snapshots]) => ({ files: files.sort(), snapshots }));
    const linesOf = ({ files, snapshots }: { files: string[]; snapshots: string[] }): ManifestLine[] => [
      ...files.map((name) => file(`/${name}`, name)),
      ...snapshots.map((name) => snapshot(name, name)),
    ];
    await fc.assert(
      fc.asyncProperty(run, run, async (before, after) => {
        const changes = await diff(linesOf(before), linesOf(after));
        const namesOf = ({ files, snapshots }: typeof before): string[] => [
          ...files.map((name) => `/${name}`),
          ...snapshots.sort(),
        ];
        const [old, young] = [namesOf(before), namesOf(after)];
        const of = (what: Change['change']) => changes.filter(({ change }) => change === what).map(nameOf);
        expect(of('added')).toEqual(young.filter((name) => !old.includes(name)));
        expect(of('removed')).toEqual(old.filter((name) => !young.includes(name)));
        expect(of('changed')).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it.each(['before', 'after'])('throws where the run %s is damaged, after its last line', async (which) => {
    const lines = [directory('/'), file('/f', 'x')];
    const broken = manifestOf(lines, { sha256: sha256('other lines') });
    const isFirst = which === 'before';
    await expect(diff(isFirst ? broken : lines, isFirst ? lines : broken)).rejects.toMatchObject({
      code: 'DAMAGED',
    });
  });
});
