import { describe, expect, it } from 'vitest';
import { type ListEntriesOptions, listEntries } from '#src/audit/ls.js';
import { SysbackupError } from '#src/errors.js';
import { entryPath } from '#src/manifest/paths.js';
import type { ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import { directory, file, KEY, manifestOf, RUN, sha256, symlink } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

const dump: SnapshotEntry = {
  typ: 's',
  name: 'db-dump',
  dat: { key: 'snapshots/host-backup/x-db-dump', ver: 'v1' },
  sha: sha256('dump'),
  size: 4,
};
const LINES: ManifestLine[] = [
  directory('/'),
  directory('/a'),
  // Between a folder and what is in it, as bytes are ordered.
  file('/a-b', 'between'),
  directory('/a/deep'),
  file('/a/deep/file', '1'),
  file('/a/fstab', '2'),
  symlink('/lib', 'usr/lib'),
  file('/zfs/fstab', '3'),
  dump,
];

async function listed(more: Partial<ListEntriesOptions> = {}, bytes = manifestOf(LINES)): Promise<string[]> {
  const store = new FakeStore();
  const run = { key: KEY, version: store.add(KEY, bytes), run: RUN };
  const names: string[] = [];
  for await (const entries of listEntries({ store, run, ...more }))
    names.push(...entries.map((entry) => (entry.typ === 's' ? entry.name : entryPath(entry))));
  return names;
}

async function refused(path: string): Promise<SysbackupError> {
  const error: unknown = await listed({ path }).catch((thrown: unknown) => thrown);
  if (!(error instanceof SysbackupError)) throw new Error(`nothing was thrown for ${path}`);
  expect(error.code).toBe('NOT_FOUND');
  return error;
}

describe('listEntries', () => {
  it('gives all paths in their order and then the snapshots', async () => {
    expect(await listed()).toEqual(LINES.map((line) => ('path' in line ? line.path : dump.name)));
  });

  it.each([
    ['/a', ['/a', '/a/deep', '/a/deep/file', '/a/fstab']],
    ['/a/', ['/a', '/a/deep', '/a/deep/file', '/a/fstab']],
    ['//a//deep', ['/a/deep', '/a/deep/file']],
    ['/a-b', ['/a-b']],
    ['/lib', ['/lib']],
    // A folder that has no entry of its own, which other writers might leave out.
    ['/zfs', ['/zfs/fstab']],
    ['db-dump', ['db-dump']],
  ])('of %s gives itself and what is below it, not what only begins alike', async (path, names) => {
    expect(await listed({ path })).toEqual(names);
  });

  it.each([
    [0, ['/']],
    [1, ['/', '/a', '/a-b', '/lib']],
    [2, ['/', '/a', '/a-b', '/a/deep', '/a/fstab', '/lib', '/zfs/fstab']],
  ])('goes %i levels deep', async (depth, names) => {
    expect(await listed({ path: '/', depth })).toEqual(names);
    expect(await listed({ depth })).toEqual([...names, 'db-dump']);
  });

  it.each([
    ['/a/fstabb', '/a/fstab'],
    ['/b', '/a'],
    ['/a/dep/file', '/a/deep'],
    // The same name elsewhere.
    ['/etc/fstab', '/a/fstab, /zfs/fstab'],
    ['db-dunp', 'db-dump'],
    ['a/fstab', 'begin with a slash'],
    ['/lib/libc.so', '/lib is a symlink to usr/lib'],
    ['/a-b/x', '/a-b is a file'],
    ['/nothing/like/it/at-all', '`s3-sysbackup ls RUN`'],
  ])('says what is nearest to %s', async (path, nearest) => {
    const error = await refused(path);
    expect(error.message).toContain(path);
    expect(error.hint).toContain(nearest);
  });

  it('does not end well where the manifest does not, even if all that was asked for came before', async () => {
    const broken = manifestOf(LINES, { sha256: sha256('other lines') });
    await expect(listed({ path: '/a' }, broken)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});
