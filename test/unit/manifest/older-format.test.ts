import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { fetchManifest } from '#src/manifest/fetch.js';
import { olderSnapshotName } from '#src/manifest/older-snapshots.js';
import { readManifest } from '#src/manifest/reader.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import type { ManifestLine } from '#src/manifest/types.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { directory, header, manifestOf, RUN, sha256 } from './build-manifest.js';
import { FakeStore } from './fake-store.js';

const KEY = 'manifests/web1.json';
const CONTENT = `content/${sha256('x')}`;
const own = { o: 'root', g: 'root' };
const file = { typ: 'f', path: '/f', ...own, mode: 0o644, dat: CONTENT, ver: 'v9' };

async function read(bytes: Buffer): Promise<ManifestLine[]> {
  const store = new FakeStore();
  const lines: ManifestLine[] = [];
  for await (const batch of readManifest(store, KEY, store.add(KEY, bytes))) lines.push(...batch);
  return lines;
}

async function linesOf(...content: unknown[]): Promise<ManifestLine[]> {
  return await read(Buffer.from(JSON.stringify({ content, snapshots: [], log: [] })));
}

/** The one entry that is made of this one. */
async function entryOf(entry: unknown): Promise<ManifestLine | undefined> {
  const lines = await linesOf(entry);
  expect(lines.at(-1)).toMatchObject({ outcome: 'complete' });
  expect(lines).toHaveLength(3);
  return lines[1];
}

describe('an entry of the older format', () => {
  it.each<[string, object, object]>([
    ['names as owners', {}, { o: 'root', g: 'root' }],
    ['numbers as owners', { o: 1000, g: 50 }, { o: 1000, g: 50, uid: 1000, gid: 50 }],
    ['a mode', { mode: 0o640 }, { mode: 0o640 }],
    ['a mode with the type of the file in it', { mode: 0o100644 }, { mode: 0o644 }],
    ['setuid and sticky', { mode: 0o755, sb: 's-t' }, { mode: 0o5755 }],
    ['setgid', { mode: 0o755, sb: '-s-' }, { mode: 0o2755 }],
    ['no special bits', { mode: 0o755, sb: '---' }, { mode: 0o755 }],
    [
      'an ACL that says no more than a mode',
      { mode: undefined, acl: 'user::rw-\ngroup::r--\nother::---\n\n' },
      { mode: 0o640 },
    ],
    [
      'an ACL with special bits',
      { mode: undefined, sb: 's--', acl: 'user::rwx\nuser:alice:r--\ngroup::---\nmask::r-x\nother::--x\n' },
      { mode: 0o4751, acl: 'user::rwx\nuser:alice:r--\ngroup::---\nmask::r-x\nother::--x' },
    ],
    [
      'an ACL for numbers and odd names',
      { mode: undefined, acl: 'u::rw-,u:1000:r--,u:a\\040b:r--,g::r--,m::r--,o::---' },
      {
        mode: 0o640,
        acl: 'user::rw-\nuser:1000:r--\nuser:a\\040b:r--\ngroup::r--\nmask::r--\nother::---',
      },
    ],
    ['neither mode nor ACL', { mode: undefined }, { mode: 0o600 }],
    ['an ACL that makes no sense', { mode: undefined, acl: 'all may' }, { mode: 0o600, acl: 'all may' }],
    ['an inode number as id', { id: 4711 }, { id: '4711' }],
    ['no content', { dat: null, ver: undefined }, { dat: null, size: 0, sha: sha256('') }],
    [
      'a version of a bucket without versions',
      { ver: null },
      { dat: { key: CONTENT, ver: 'null', encIn: 'metadata' } },
    ],
  ])('with %s', async (_, given, expected) => {
    const entry = await entryOf({ ...file, ...given });
    const absent = { acl: undefined, id: undefined };
    expect({ ...absent, ...entry }).toMatchObject({ ...absent, typ: 'f', path: '/f', ...expected });
  });

  it.each(['default:', 'd:'])('with default entries as %s', async (prefix) => {
    const defaults = ['user::rwx', 'user:alice:rwx', 'group::r-x', 'mask::rwx', 'other::---'];
    const access = 'user::rwx\ngroup::r-x\nother::r-x\n';
    const acl = `${access}${defaults.map((line) => `${prefix}${line}\n`).join('')}\n\n`;
    const entry = await entryOf({ typ: 'd', path: '/d', ...own, acl });
    const text = defaults.map((line) => `d:${line}`).join('\n');
    expect(entry).toEqual({ typ: 'd', path: '/d', ...own, mode: 0o755, acl: text });
  });

  it('with a name that is no UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('/gr'), Buffer.from([0xfc]), Buffer.from('🗄️')]);
    expect(await entryOf({ ...file, path: '/gr\udcfc🗄️' })).toMatchObject({
      path64: bytes.toString('base64'),
    });
  });

  it('that is a symlink', async () => {
    const entry = await entryOf({ typ: 'l', path: '/l', ...own, tgt: '../x\udcff' });
    const tgt64 = Buffer.from('../x\xff', 'latin1').toString('base64');
    expect(entry).toEqual({ typ: 'l', path: '/l', ...own, tgt64 });
  });

  it.each([
    null,
    [],
    { ...file, path: undefined },
    { ...file, path: '' },
    { ...file, typ: 'b' },
    { ...file, o: undefined },
    { ...file, g: -1 },
    { ...file, dat: undefined },
    { ...file, dat: '../../etc/shadow' },
    { ...file, dat: `content/${sha256('x')}/../x` },
    { ...file, ver: 7 },
    { ...file, dat: undefined, id: 'of nobody' },
    { typ: 'l', path: '/f', ...own },
  ])('that makes no sense is a problem, and the rest comes: %j', async (entry) => {
    const lines = await linesOf({ ...file, path: '/before' }, entry, { ...file, path: '/g' });
    expect(lines.slice(1).map((line) => ('path' in line && line.typ === 'f' ? line.path : line.typ))).toEqual(
      ['/before', '/g', 'problem', 'end'],
    );
    expect(lines.at(-2)).toMatchObject({ severity: 'failure', code: 'unusable-entry' });
    expect(lines.at(-1)).toMatchObject({ outcome: 'partial', counts: { f: 2, problems: 1 } });
  });
});

describe('a manifest of the older format', () => {
  it('is brought into the order of paths, each once', async () => {
    const entries = ['/a/b', '/', '/a-b', '/a', '/a'].map((path) => ({
      typ: 'd',
      path,
      ...own,
      mode: 0o755,
    }));
    const lines = await linesOf(...entries);
    expect(lines.slice(1, 5).map((line) => ('path' in line ? line.path : line.typ))).toEqual([
      '/',
      '/a',
      '/a-b',
      '/a/b',
    ]);
    expect(lines[5]).toMatchObject({
      typ: 'problem',
      path: '/a',
      message: expect.stringContaining('more than once'),
    });
  });

  it('may have the content of a file with several names beside one of them only', async () => {
    const { dat: _, ver: __, ...name } = file;
    const lines = await linesOf({ ...name, path: '/a', id: 7 }, { ...file, path: '/b', id: 7 });
    const dat = { key: CONTENT, ver: 'v9', encIn: 'metadata' };
    expect(lines.slice(1, 3)).toMatchObject([
      { path: '/a', dat, sha: sha256('x'), id: '7' },
      { path: '/b', dat, sha: sha256('x'), id: '7' },
    ]);
    expect(lines[1]).not.toHaveProperty('size');
  });

  it('has its log, and warnings beside entries, as notes', async () => {
    const document = {
      content: [{ ...file, w: ['not locked'] }],
      snapshots: [],
      log: ['slow', { level: 3 }],
    };
    const lines = await read(Buffer.from(JSON.stringify(document)));
    expect(lines.filter(({ typ }) => typ === 'problem')).toMatchObject([
      { severity: 'note', message: '["not locked"]', path: '/f' },
      { severity: 'note', message: 'slow' },
      { severity: 'note', message: '{"level":3}' },
    ]);
    expect(lines.at(-1)).toMatchObject({ outcome: 'complete' });
  });

  it('may be stored compressed', async () => {
    const bytes = gzipSync(JSON.stringify({ content: [file], snapshots: [] }));
    expect(await read(bytes)).toHaveLength(3);
    await expect(read(bytes.subarray(0, -9))).rejects.toMatchObject({ code: 'DAMAGED' });
  });

  it.each(['', '{"content": [', 'no JSON', '{"content": [{]}'])('that is %j is refused', async (text) => {
    await expect(read(Buffer.from(text))).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining(KEY),
    });
  });

  it('is kept and read again like one of format 2', async () => {
    const store = new FakeStore();
    const version = store.add(
      KEY,
      Buffer.from(JSON.stringify({ content: [file], snapshots: [], log: ['x'] })),
    );
    const fetched = await fetchManifest(store, { key: KEY, version }, temporaryFolder());
    expect(fetched.header).toMatchObject({ format: 1, backup: 'web1', retention: null });
    expect(fetched.footer).toMatchObject({ counts: { f: 1, problems: 1 } });
    for (let round = 0; round < 2; round++) {
      const lines: ManifestLine[] = [];
      for await (const batch of fetched.lines()) lines.push(...batch);
      expect(lines).toEqual(await readAgain(store, version));
    }
    await fetched.remove();
  });

  async function readAgain(store: FakeStore, version: string): Promise<ManifestLine[]> {
    const lines: ManifestLine[] = [];
    for await (const batch of readManifest(store, KEY, version)) lines.push(...batch);
    return lines;
  }
});

describe('a run of the older format', () => {
  const OTHER = '20260102T120003Z-0000ffff';

  it.each([
    ['before those of format 2 is no other machine', ['older', RUN], 0],
    ['after those of format 2 is one', [RUN, 'older'], 1],
    ['between two machines hides nothing', [RUN, 'older', OTHER], 1],
  ])('%s', async (_, runs, expected) => {
    const store = new FakeStore();
    for (const [index, run] of runs.entries()) {
      const received = Date.parse('2026-01-02T12:00:00Z') + index * 1000;
      const head = { ...header, backup: 'web1', run };
      if (run === 'older') store.add(KEY, Buffer.from(JSON.stringify({ content: [file] })), received);
      else
        store.add(
          `manifests/web1/${run}.complete.jsonl.gz`,
          manifestOf([directory('/')], {}, head),
          received,
        );
    }
    const warnings: string[] = [];
    await resolveRun(store, 'web1', {
      onEvent: (event) => event.type === 'log' && warnings.push(event.message),
    });
    expect(warnings).toEqual(
      Array.from({ length: expected }, () => expect.stringContaining('another machine')),
    );
  });
});

it.each([
  ['snapshots/2026-11-20T12:10Z-db', 'db'],
  ['snapshots/web-1.example.net-2026-11-20T12:10Z-my-db', 'my-db'],
  ['snapshots/web1-2026-11-20T12:10:33Z-db', 'db'],
  ['snapshots/something else', 'something else'],
])('the snapshot %s is called %s', (key, name) => {
  expect(olderSnapshotName(key)).toBe(name);
});
