import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BytePath } from '#src/files/byte-path.js';
import type { ManifestLine } from '#src/manifest/types.js';
import type { RestoreSummary, RestoreToTarOptions } from '#src/restore/options.js';
import { encodeTarHeader } from '#src/restore/tar-header.js';
import { restoreToTar } from '#src/restore/tar.js';
import { directory, KEY, manifestOf, symlink } from '../manifest/build-manifest.js';
import { own, Scene } from './scene.js';

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(async () => {
  expect(readdirSync(scene.spool)).toEqual([]);
  await scene.remove();
});

interface Member {
  name: string;
  type: string | null;
  linkname: string | null;
  mode: number;
  content: Buffer;
}

async function membersOf(tar: Buffer): Promise<Member[]> {
  const members: Member[] = [];
  for await (const entry of Readable.from([tar]).pipe(extract())) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type = null, linkname = null, mode = 0 } = entry.header;
    members.push({ name, type, linkname, mode, content: Buffer.concat(chunks) });
  }
  return members;
}

async function toTar(
  lines: readonly ManifestLine[],
  options: Partial<RestoreToTarOptions> = {},
): Promise<{ summary: RestoreSummary; tar: Buffer }> {
  const version = scene.store.add(KEY, manifestOf(lines));
  const chunks: Buffer[] = [];
  const summary = await restoreToTar({
    store: scene.store,
    run: { key: KEY, version },
    spoolFolder: scene.spool,
    write: async (bytes) => {
      chunks.push(Buffer.from(bytes));
    },
    onEvent: (event) => scene.events.push(event),
    onPath: (action) => scene.actions.push(action),
    ...options,
  });
  return { summary, tar: Buffer.concat(chunks) };
}

/** What GNU tar makes of it. */
function unpacked(tar: Buffer): string {
  writeFileSync(join(scene.folder, 'tar'), tar);
  mkdirSync(scene.target);
  execFileSync('tar', ['-xpf', join(scene.folder, 'tar'), '-C', scene.target], { stdio: 'pipe' });
  return scene.target;
}

const LONG = 5 * 1024 * 1024;

describe('a tar', () => {
  it('has folders, files, symlinks and links, whole records long', async () => {
    const linked = ['/a/h1', '/z'].map((path) => scene.file(path, 'linked', { ...own, id: 'x' }));
    const lines = [
      directory('/', own),
      directory('/a', own),
      linked[0],
      symlink('/l', 'a/h1', own),
      linked[1],
    ];
    const { summary, tar } = await toTar(lines.filter((line) => line !== undefined));
    const found = (await membersOf(tar)).map(({ type, name, linkname, content }) => [
      type,
      name,
      linkname,
      String(content),
    ]);
    expect(found).toEqual([
      ['directory', './', null, ''],
      ['directory', 'a/', null, ''],
      ['file', 'a/h1', null, 'linked'],
      ['symlink', 'l', 'a/h1', ''],
      ['link', 'z', 'a/h1', ''],
    ]);
    expect(tar.length % 10_240).toBe(0);
    expect(summary).toMatchObject({ done: { create: 4, link: 1 }, bytes: 6, requests: 1, failed: 0 });
    expect(statSync(join(unpacked(tar), 'z')).nlink).toBe(2);
  });

  it('has the folders above what was selected, with their metadata, once, and no others', async () => {
    const lines = [
      directory('/', own),
      directory('/a', { ...own, mode: 0o711 }),
      directory('/a/b', { ...own, mode: 0o751 }),
      scene.file('/a/b/f', 'f', own),
      scene.file('/a/b/g', 'g', own),
      directory('/c', own),
    ];
    const { summary, tar } = await toTar(lines, { include: ['/a/b/?'] });
    const found = (await membersOf(tar)).map(({ name, mode }) => [name, mode]);
    expect(found).toEqual([
      ['a/', 0o711],
      ['a/b/', 0o751],
      ['a/b/f', 0o644],
      ['a/b/g', 0o644],
    ]);
    expect(summary.selected).toEqual({ d: 0, l: 0, f: 2 });
    expect(scene.deeds()).toEqual({ '/a/b/f': 'create', '/a/b/g': 'create' });
  });

  it('gives folders their times although byte order has others among their files', async () => {
    const mt = '1600000000.000000000';
    const folders = ['/a', '/a-b', '/a/c', '/a/c-d', '/a.e'].map((path) => directory(path, { ...own, mt }));
    const files = ['/a/c/f', '/a/f', '/a-b/f', '/a/c-d/f', '/a.e/f', '/a/z'].map((path) =>
      scene.file(path, 'x', own),
    );
    const lines = [...folders, ...files].sort((a, b) => (String(a.path) < String(b.path) ? -1 : 1));
    const { tar } = await toTar(lines);
    unpacked(tar);
    for (const { path } of folders)
      expect([path, statSync(join(scene.target, String(path))).mtimeMs]).toEqual([path, 1.6e12]);
  });

  it('is the same for any number of files fetched at a time', async () => {
    const lines = Array.from({ length: 300 }, (_, index) =>
      scene.file(`/f${String(index).padStart(3, '0')}`, Buffer.alloc((index * 7919) % 300_000, index), own),
    );
    const one = await toTar(lines, { concurrency: 1 });
    const many = await toTar(lines, { concurrency: 16 });
    expect(one.tar.equals(many.tar)).toBe(true);
    expect(unpacked(one.tar)).toBe(scene.target);
    expect(statSync(join(scene.target, 'f299')).size).toBe((299 * 7919) % 300_000);
  });

  it('of a dry run is none: it tells what would be in it', async () => {
    const linked = ['/a', '/b'].map((path) => scene.file(path, 'linked', { ...own, id: 'x' }));
    const { summary, tar } = await toTar(linked, { dryRun: true });
    expect(tar.length).toBe(0);
    expect(summary).toMatchObject({ dryRun: true, bytes: 6, requests: 1, done: { create: 1, link: 1 } });
    expect(scene.store.gets).toHaveLength(1);
  });
});

describe('what goes wrong', () => {
  it('leaves a wrong small file out, and links to it stand for themselves', async () => {
    const bad = scene.object('bad bytes');
    const good = scene.file('/b', 'linked', { ...own, id: 'x' });
    const { summary, tar } = await toTar([
      { ...good, path: '/a', dat: bad },
      good,
      { ...good, path: '/c' },
      scene.file('/d', 'right', own),
    ]);
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'damaged', path: '/a' }] });
    const found = (await membersOf(tar)).map(({ name, type }) => `${name} ${type}`);
    expect(found).toEqual(['b file', 'c link', 'd file']);
  });

  it('fills up a long file that breaks off with zeros and says so; what comes after is right', async () => {
    const half = LONG / 2;
    const first = { ...scene.object(Buffer.alloc(half, 'a')), size: half };
    const second = { key: 'content/gone', ver: 'x', size: half };
    const long = scene.file('/long', Buffer.concat([Buffer.alloc(half, 'a'), Buffer.alloc(half, 'b')]), own);
    const { summary, tar } = await toTar([
      { ...long, dat: [first, second] },
      scene.file('/next', 'next', own),
    ]);
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'not-fetched', path: '/long' }] });
    expect(summary.problems[0]?.message).toContain(`zeros from byte ${half}`);
    const [broken, next] = await membersOf(tar);
    expect(broken?.content.equals(Buffer.concat([Buffer.alloc(half, 'a'), Buffer.alloc(half)]))).toBe(true);
    expect(String(next?.content)).toBe('next');
  });

  it('says of a long file whose bytes are others that it is not right', async () => {
    const long = scene.file('/long', Buffer.alloc(LONG, 'a'), own);
    const { summary } = await toTar([{ ...long, dat: scene.object(Buffer.alloc(LONG, 'b')) }]);
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'damaged' }] });
  });

  it('leaves out what stands below a symlink or a file: who unpacks it would leave the target', async () => {
    const { summary, tar } = await toTar([
      symlink('/out', '/etc', own),
      symlink('/out-side', '/etc', own),
      scene.file('/out/passwd', 'bad', own),
      scene.file('/text', 'x', own),
      scene.file('/text/below', 'bad', own),
      directory('/text/folder', own),
    ]);
    const names = (await membersOf(tar)).map(({ name }) => name);
    expect(names).toEqual(['out', 'out-side', 'text']);
    expect(summary).toMatchObject({ failed: 3 });
  });

  it.each(['/../x', '/a/../../x', 'x', '/nul\0', `/${'n'.repeat(256)}`])(
    'leaves out the hostile path %j',
    async (path) => {
      const { summary, tar } = await toTar(
        [scene.file(path, 'bad', own), scene.file('/~good', 'good', own)].sort((a, b) =>
          String(a.path) < String(b.path) ? -1 : 1,
        ),
      );
      expect((await membersOf(tar)).map(({ name }) => name)).toEqual(['~good']);
      expect(summary.failed).toBe(1);
    },
  );

  it('ends at the first write that fails', async () => {
    const lines = Array.from({ length: 50 }, (_, index) =>
      scene.file(`/f${10 + index}`, Buffer.alloc(100_000), own),
    );
    const write = async (): Promise<void> => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    };
    await expect(toTar(lines, { write })).rejects.toMatchObject({
      code: 'SYSTEM',
      message: expect.stringContaining('no space left'),
    });
  });

  it('stops by a signal', async () => {
    const controller = new AbortController();
    const lines = Array.from({ length: 200 }, (_, index) => scene.file(`/f${100 + index}`, `${index}`, own));
    const onPath = (): void => controller.abort();
    await expect(toTar(lines, { signal: controller.signal, onPath })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });
});

describe('a header', () => {
  const header = {
    name: 'f' as BytePath,
    type: 'file' as const,
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    size: 0,
    mtimeNs: 0n,
    linkName: '' as BytePath,
    records: new Map<string, Buffer>(),
  };
  const records = (bytes: Buffer): Map<string, string> => {
    const size = Number.parseInt(bytes.toString('latin1', 124, 135), 8);
    const found = new Map<string, string>();
    for (let at = 512, end = 512 + size; at < end; ) {
      const space = bytes.indexOf(' ', at);
      const length = Number(bytes.toString('latin1', at, space));
      const [keyword = '', ...value] = bytes.toString('latin1', space + 1, at + length - 1).split('=');
      expect(bytes[at + length - 1]).toBe(0x0a);
      found.set(keyword, value.join('='));
      at += length;
    }
    return found;
  };

  it('counts its own digits in the length of a record, whatever the length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1100 }), (length) => {
        const value = Buffer.alloc(length, 'v');
        const found = records(
          encodeTarHeader({ ...header, records: new Map([['SCHILY.xattr.user.x', value]]) }),
        );
        expect(found.get('SCHILY.xattr.user.x')).toBe(value.toString());
      }),
      { numRuns: 300 },
    );
  });

  it('is plain where everything fits', () => {
    expect(
      encodeTarHeader({ ...header, name: `${'d'.repeat(100)}/${'n'.repeat(100)}` as BytePath }),
    ).toHaveLength(512);
  });

  it('puts what does not fit into records', () => {
    const name = 'n'.repeat(101) as BytePath;
    const encoded = encodeTarHeader({
      ...header,
      name,
      uid: 4_294_967_294,
      size: 9 * 1024 ** 3,
      mtimeNs: -1_500_000_000n,
      uname: 'u'.repeat(32),
    });
    expect(Object.fromEntries(records(encoded))).toEqual({
      path: name,
      uname: 'u'.repeat(32),
      uid: '4294967294',
      size: String(9 * 1024 ** 3),
      mtime: '-1.5',
    });
  });

  it('says that names which are no ASCII are bytes', () => {
    const name = `${'\xff'.repeat(120)}` as BytePath;
    expect(Object.fromEntries(records(encodeTarHeader({ ...header, name })))).toEqual({
      path: name,
      hdrcharset: 'BINARY',
    });
  });

  it('is read back by another program, with any name', async () => {
    const part = fc.string({ minLength: 1, maxLength: 200, unit: fc.constantFrom(...'abcdefghij-._ ') });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 4 }), async (parts) => {
        const name = parts.join('/') as BytePath;
        const tar = Buffer.concat([encodeTarHeader({ ...header, name }), Buffer.alloc(1024)]);
        expect((await membersOf(tar)).map((member) => member.name)).toEqual([name]);
      }),
      { numRuns: 200 },
    );
  });
});
