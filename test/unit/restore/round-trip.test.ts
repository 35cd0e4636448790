import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOCK, backUpTree } from './back-up-tree.js';
import { asRoot, Scene } from './scene.js';

const hasRsync = spawnSync('rsync', ['--version']).status === 0;
const hasSetfacl = spawnSync('setfacl', ['--version']).status === 0;
const hasSetfattr = spawnSync('setfattr', ['--version']).status === 0;

let scene: Scene;
let source: string;
beforeEach(async () => {
  scene = await Scene.make();
  source = join(scene.folder, 'source');
  mkdirSync(source);
});
afterEach(() => scene.remove());

/** What rsync would change in the target to make it like the source: content, metadata, links, all. */
function difference(): string {
  const args = ['-aHAXnc', '--delete', '--itemize-changes', `${source}/`, `${scene.target}/`];
  return execFileSync('rsync', args).toString();
}

function inSource(...names: string[]): string {
  return join(source, ...names);
}

function makeAwkwardTree(): void {
  mkdirSync(inSource('folder/deep/deeper'), { recursive: true });
  mkdirSync(inSource('folder-1'));
  writeFileSync(inSource('folder/text'), 'hello');
  writeFileSync(inSource('folder/odd length'), 'x'.repeat(4097));
  writeFileSync(inSource('empty'), '');
  writeFileSync(inSource('blocks'), Buffer.alloc(BLOCK * 3 + 17, 'abc'));
  writeFileSync(inSource('sparse'), Buffer.alloc(BLOCK, 'start'));
  truncateSync(inSource('sparse'), BLOCK * 40 + 5000);
  writeFileSync(inSource('folder/deep/deeper/first'), 'linked');
  linkSync(inSource('folder/deep/deeper/first'), inSource('a second name'));
  linkSync(inSource('folder/deep/deeper/first'), inSource('z third name'));
  for (const [name, target] of [
    ['dangling', '/no/such/place'],
    ['loop', 'loop'],
    ['to folder', 'folder'],
  ] as const)
    symlinkSync(target, inSource(name));
  for (const name of ['new\nline', '-rf', ' ', '\\x00', 'ü', 'tab\t', '*', 'x'.repeat(255)])
    writeFileSync(inSource(name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.of(0xff, 0xfe, 0x0a)]), 'no UTF-8');
  symlinkSync(Buffer.of(0xff), Buffer.concat([Buffer.from(`${source}/folder/`), Buffer.of(0xe4)]));
  chmodSync(inSource('folder/text'), 0o6751);
  chmodSync(inSource('empty'), 0o000);
  mkdirSync(inSource('read-only'));
  writeFileSync(inSource('read-only/inside'), 'inside');
  chmodSync(inSource('read-only'), 0o555);
  mkdirSync(inSource('sticky'), { mode: 0o777 });
  chmodSync(inSource('sticky'), 0o3777);
  lutimesSync(inSource('dangling'), 1_000_000.25, 1_000_000.25);
  for (const name of ['folder/deep/deeper', 'folder/deep', 'folder', 'read-only'])
    utimesSync(inSource(name), 1_234_567_890.123, 1_234_567_890.123);
  utimesSync(inSource('folder/text'), -5.5, -5.5);
}

describe('restore', () => {
  it.skipIf(!asRoot || !hasRsync)(
    'brings an awkward tree back with nothing different (root, rsync)',
    async () => {
      makeAwkwardTree();
      chownSync(inSource('folder/text'), 12_345, 54_321);
      chmodSync(inSource('folder/text'), 0o6751);
      chownSync(inSource('folder'), 1, 1);
      if (hasSetfacl) {
        execFileSync('setfacl', ['-m', 'u:daemon:rwx,g:12345:r', inSource('folder/odd length')]);
        execFileSync('setfacl', ['-d', '-m', 'u:12345:rx', inSource('folder/deep')]);
        execFileSync('setfacl', ['-d', '-m', 'u:12345:rx', inSource('folder-1')]);
      }
      if (hasSetfattr)
        execFileSync('setfattr', ['-n', 'user.note', '-v', 'text', inSource('folder/odd length')]);
      utimesSync(inSource('folder'), 1_234_567_890.123, 1_234_567_890.123);
      const lines = await backUpTree(scene, source);
      const summary = await scene.restore(lines, { numericOwners: false });
      expect(summary).toMatchObject({ failed: 0, problems: [], notSet: {} });
      expect(difference()).toBe('');
      expect(summary.bytes).toBe(summary.selected.f > 0 ? contentBytes(lines) - 2 * 6 : 0);
    },
  );

  it.skipIf(!hasRsync)('brings an awkward tree back, whoever asks for it (rsync)', async () => {
    makeAwkwardTree();
    if (!asRoot) chmodSync(inSource('empty'), 0o400);
    const summary = await scene.restore(await backUpTree(scene, source), { concurrency: 2 });
    expect(summary).toMatchObject({ failed: 0, problems: [] });
    expect(difference()).toBe('');
  });

  it('restores sparse files with holes', async () => {
    makeAwkwardTree();
    await scene.restore(await backUpTree(scene, source));
    const { size, blocks } = statSync(join(scene.target, 'sparse'));
    expect(size).toBe(BLOCK * 40 + 5000);
    expect(blocks * 512).toBeLessThan(BLOCK * 3);
  });

  it('fetches a repeated block once, and a hard-linked file once', async () => {
    makeAwkwardTree();
    const lines = await backUpTree(scene, source);
    await scene.restore(lines);
    const contents = scene.store.gets.map(({ key }) => key).filter((key) => key.startsWith('content/'));
    const zeros = lines.flatMap((line) => ('dat' in line && Array.isArray(line.dat) ? line.dat : []));
    expect(zeros.some(({ n = 1 }) => n > 10)).toBe(true);
    expect(contents.length).toBeLessThan(40);
    expect(scene.deeds()).toMatchObject({ '/folder/deep/deeper/first': 'link', '/z third name': 'link' });
  });

  it('goes on where an earlier restore ended: a second one fetches nothing', async () => {
    makeAwkwardTree();
    const lines = await backUpTree(scene, source);
    await scene.restore(lines);
    scene.store.gets.length = 0;
    scene.actions.length = 0;
    const again = await scene.restore(lines);
    expect(again).toMatchObject({ failed: 0, bytes: 0, requests: 0, done: { create: 0, replace: 0 } });
    expect(scene.store.gets).toHaveLength(1);
    if (hasRsync) expect(difference()).toBe('');
  });

  it.skipIf(!hasRsync)('restores any generated tree (rsync)', async () => {
    const name = fc
      .uint8Array({ minLength: 1, maxLength: 12 })
      .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x41 : byte))))
      .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));
    const node = fc.record({
      name,
      kind: fc.constantFrom('d', 'f', 'f', 'l', 'h'),
      content: fc.uint8Array({ maxLength: 5000 }),
      zeros: fc.nat(3 * BLOCK),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      mtime: fc.integer({ min: -(10 ** 6), max: 10 ** 6 }),
      into: fc.nat(),
    });
    const tree = fc.array(node, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(tree, async (nodes) => {
        await scene.remove();
        scene = await Scene.make();
        source = join(scene.folder, 'source');
        mkdirSync(source);
        plant(nodes);
        const summary = await scene.restore(await backUpTree(scene, source));
        expect(summary.failed).toBe(0);
        expect(difference()).toBe('');
      }),
      { numRuns: 25 },
    );
  });
});

interface Node {
  name: Buffer;
  kind: string;
  content: Uint8Array;
  zeros: number;
  mode: number;
  mtime: number;
  into: number;
}

/** Makes the nodes, each in one of the folders made before, and then sets modes and times. */
function plant(nodes: readonly Node[]): void {
  const folders = [Buffer.from(source)];
  const files: Buffer[] = [];
  const made: { path: Buffer; node: Node }[] = [];
  const seen = new Set<string>();
  for (const node of nodes) {
    const folder = folders[node.into % folders.length] ?? Buffer.alloc(0);
    const path = Buffer.concat([folder, Buffer.from('/'), node.name]);
    if (seen.has(path.toString('latin1'))) continue;
    seen.add(path.toString('latin1'));
    const other = files[node.into % Math.max(1, files.length)];
    if (node.kind === 'd') {
      mkdirSync(path);
      folders.push(path);
    } else if (node.kind === 'l')
      symlinkSync(Buffer.from(node.content.filter(Boolean)).subarray(0, 50).toString('latin1') || 'x', path);
    else if (node.kind === 'h' && other) linkSync(other, path);
    else {
      writeFileSync(path, Buffer.concat([node.content, Buffer.alloc(node.zeros), node.content]));
      files.push(path);
    }
    if (node.kind !== 'l') made.push({ path, node });
  }
  for (const { path, node } of made.reverse()) {
    chmodSync(path, asRoot ? node.mode : node.mode | 0o700);
    utimesSync(path, node.mtime, node.mtime);
  }
}

function contentBytes(lines: readonly { typ: string; size?: number }[]): number {
  return lines.reduce((sum, { size = 0 }) => sum + size, 0);
}
