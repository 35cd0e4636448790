import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SnapshotEntry } from '#src/manifest/types.js';
import { restoreSnapshots, type RestoreSnapshotsSummary } from '#src/restore/snapshots.js';
import { KEY, manifestOf, sha256 } from '../manifest/build-manifest.js';
import { Scene } from './scene.js';

let scene: Scene;
let into: string;
beforeEach(async () => {
  scene = await Scene.make();
  into = join(scene.folder, 'snapshots');
});
afterEach(async () => {
  expect(readdirSync(scene.spool)).toEqual([]);
  expect(readdirSync(scene.outside)).toEqual([]);
  await scene.remove();
});

function snapshot(name: string, content: string | Buffer, more: Partial<SnapshotEntry> = {}): SnapshotEntry {
  const bytes = Buffer.from(content);
  const dat = bytes.length === 0 ? null : scene.object(bytes, 'gzip');
  return { typ: 's', name, dat, sha: sha256(bytes), size: bytes.length, ...more };
}

async function run(snapshots: SnapshotEntry[], names?: string[]): Promise<RestoreSnapshotsSummary> {
  const version = scene.store.add(KEY, manifestOf(snapshots));
  const onEvent = (event: (typeof scene.events)[number]) => scene.events.push(event);
  return restoreSnapshots({
    store: scene.store,
    run: { key: KEY, version },
    into,
    names,
    spoolFolder: scene.spool,
    onEvent,
  });
}

describe('restoreSnapshots', () => {
  it('writes each into a file of its name, private, its description beside it', async () => {
    const summary = await run([
      snapshot('db', 'dump', { description: 'all\ntables', restore_through: 'psql <&0' }),
      snapshot('empty', ''),
      snapshot('large', Buffer.alloc(3_000_000, 'abc')),
    ]);
    expect(summary.problems).toEqual([]);
    expect(summary.restored).toEqual([
      { name: 'db', path: join(into, 'db'), size: 4, description: 'all\ntables', restoreThrough: 'psql <&0' },
      expect.objectContaining({ name: 'empty', size: 0, description: undefined }),
      expect.objectContaining({ name: 'large', size: 3_000_000 }),
    ]);
    expect(readdirSync(into).sort()).toEqual(['db', 'db.description.txt', 'empty', 'large']);
    expect(readFileSync(join(into, 'db'), 'utf8')).toBe('dump');
    expect(readFileSync(join(into, 'db.description.txt'), 'utf8')).toBe('all\ntables\n');
    expect(readFileSync(join(into, 'large')).equals(Buffer.alloc(3_000_000, 'abc'))).toBe(true);
    expect(statSync(join(into, 'db')).mode & 0o777).toBe(0o600);
    expect(statSync(into).mode & 0o777).toBe(0o700);
  });

  it('streams one that is stored in one piece too long for memory', async () => {
    const content = Buffer.alloc(40 * 1024 * 1024, 'abcdefg');
    await run([snapshot('long', content)]);
    expect(sha256(readFileSync(join(into, 'long')))).toBe(sha256(content));
    expect(scene.events.filter(({ type }) => type === 'progress').length).toBeLessThan(20);
  });

  it('brings only those asked for, and says which there are where one is unknown', async () => {
    const both = [snapshot('mysql', 'a'), snapshot('postgres', 'b')];
    await run(both, ['postgres']);
    expect(readdirSync(into)).toEqual(['postgres']);
    await expect(run(both, ['postgre'])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('postgres'),
    });
  });

  it.each(['../outside/x', '/etc/x', '..', '.', '', 'a/b', 'nul\0', 'n'.repeat(256)])(
    'refuses the hostile name %j',
    async (name) => {
      const summary = await run([snapshot(name, 'bad', { description: 'bad' }), snapshot('good', 'good')]);
      expect(summary).toMatchObject({ problems: [{ code: 'unsafe-path' }], restored: [{ name: 'good' }] });
      expect(readdirSync(into)).toEqual(['good']);
    },
  );

  it('writes through no symlink and replaces what has the name only by right bytes', async () => {
    mkdirSync(into);
    writeFileSync(join(into, 'kept'), 'old');
    symlinkSync(join(scene.outside, 'x'), join(into, 'link'));
    mkdirSync(join(into, 'folder'));
    const wrong = { dat: scene.object('wrong') };
    const summary = await run([
      snapshot('folder', 'x'),
      snapshot('kept', 'right', wrong),
      snapshot('link', 'new'),
    ]);
    expect(summary.problems.map(({ code, source }) => [code, source])).toEqual([
      ['not-restored', 'folder'],
      ['damaged', 'kept'],
    ]);
    expect(readFileSync(join(into, 'kept'), 'utf8')).toBe('old');
    expect(readFileSync(join(into, 'link'), 'utf8')).toBe('new');
  });

  it("takes a name twice once, and no description for another one's output", async () => {
    const summary = await run([
      snapshot('db', 'first', { description: 'text' }),
      snapshot('db', 'second'),
      snapshot('db.description.txt', 'output'),
    ]);
    expect(summary.problems).toHaveLength(1);
    expect(readFileSync(join(into, 'db'), 'utf8')).toBe('first');
    expect(readFileSync(join(into, 'db.description.txt'), 'utf8')).toBe('output');
  });

  it('restores one whose name leaves no room for the ending of a description', async () => {
    const name = 'n'.repeat(255);
    const summary = await run([snapshot(name, 'dump', { description: 'text' })]);
    expect(summary).toMatchObject({ problems: [], restored: [{ name, description: 'text' }] });
    expect(readFileSync(join(into, name), 'utf8')).toBe('dump');
  });

  it('makes nothing where the manifest is damaged', async () => {
    const version = scene.store.add(KEY, manifestOf([]).subarray(0, -1));
    const options = { store: scene.store, run: { key: KEY, version }, into, spoolFolder: scene.spool };
    await expect(restoreSnapshots(options)).rejects.toMatchObject({ code: 'DAMAGED' });
    expect(existsSync(into)).toBe(false);
  });
});
