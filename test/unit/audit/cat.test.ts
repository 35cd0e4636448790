import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openContent } from '#src/audit/cat.js';
import type { BlockRef, ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import { directory, file, KEY, manifestOf, RUN, sha256, symlink } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

class Stored {
  readonly store = new FakeStore();

  object(bytes: string, key = `content/${sha256(bytes)}`): { key: string; ver: string } {
    return { key, ver: this.store.add(key, Buffer.from(bytes)) };
  }

  async cat(lines: readonly ManifestLine[], path: string): Promise<string> {
    const run = { key: KEY, version: this.store.add(KEY, manifestOf(lines)), run: RUN };
    const { bytes } = await openContent({ store: this.store, run, path });
    const pieces: Buffer[] = [];
    for await (const piece of bytes) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces).toString('utf8');
  }
}

describe('openContent', () => {
  it('gives a file, compressed or not, and nothing of an empty one', async () => {
    const stored = new Stored();
    const packed = stored.store.add(`content/${sha256('packed')}`, gzipSync('packed'));
    const lines = [
      file('/empty', ''),
      file('/packed', 'packed', { dat: { key: `content/${sha256('packed')}`, ver: packed, enc: 'gzip' } }),
      file('/plain', 'plain', { dat: stored.object('plain') }),
    ];
    expect(await stored.cat(lines, '/empty')).toBe('');
    expect(await stored.cat(lines, '/packed')).toBe('packed');
    expect(await stored.cat(lines, '//plain')).toBe('plain');
  });

  it('puts blocks together, each as often as it stands there', async () => {
    const stored = new Stored();
    const blocks: BlockRef[] = [
      { ...stored.object('one,'), size: 4, n: 3 },
      { ...stored.object('two'), size: 3 },
    ];
    const line = file('/long', 'one,one,one,two', { dat: blocks });
    expect(await stored.cat([line], '/long')).toBe('one,one,one,two');
  });

  it("gives a snapshot by its snapshotter's name", async () => {
    const stored = new Stored();
    const dat = stored.object('dump', 'snapshots/host-backup/x-db');
    const line: SnapshotEntry = { typ: 's', name: 'db', dat, sha: sha256('dump'), size: 4 };
    expect(await stored.cat([line], 'db')).toBe('dump');
    await expect(stored.cat([line], '/db')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(stored.cat([line], 'dbx')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('It has db.'),
    });
  });

  it.each([
    ['/folder', 'USAGE', '/folder is a folder'],
    ['/link', 'USAGE', '/link is a symlink to /etc/shadow'],
    ['/link/x', 'NOT_FOUND', '/link/x is not in'],
  ])('of %s there is none, and it says why', async (path, code, message) => {
    const stored = new Stored();
    const lines = [directory('/folder'), symlink('/link', '/etc/shadow')];
    await expect(stored.cat(lines, path)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('throws behind bytes of the right length that are not those that were backed up', async () => {
    const stored = new Stored();
    const dat = stored.object('wrong', `content/${sha256('right')}`);
    await expect(stored.cat([file('/f', 'right', { dat })], '/f')).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('/f'),
    });
  });

  it('gives nothing of a run whose manifest is damaged', async () => {
    const stored = new Stored();
    const lines = [file('/f', 'x', { dat: stored.object('x') })];
    const version = stored.store.add(KEY, manifestOf(lines, { sha256: sha256('other lines') }));
    const run = { key: KEY, version, run: RUN };
    await expect(openContent({ store: stored.store, run, path: '/f' })).rejects.toMatchObject({
      code: 'DAMAGED',
    });
  });
});
