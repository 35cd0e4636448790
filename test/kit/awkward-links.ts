import { linkSync, lutimesSync, symlinkSync } from 'node:fs';
import type { TreeSection } from './tree-section.js';

/** Symlinks of all sorts. Returns the names of those that lead in circles, each circle's together. */
export function makeSymlinks(section: TreeSection): string[][] {
  const folder = section.folder('folder');
  folder.file('file', 'at the end of the links');
  folder.folder('below').file('deeper', 'deeper');
  const links: [target: string, name: string][] = [
    ['folder/file', 'relative'],
    ['./folder/../folder/./file', 'with dots'],
    ['folder', 'to folder'],
    ['folder/', 'to folder with slash'],
    ['.', 'to itself as a folder'],
    ['..', 'up'],
    [`${section.path.toString()}/folder/file`, 'absolute'],
    [`${section.path.toString()}/folder`, 'absolute to folder'],
    ['no such file', 'dangling'],
    ['/no/such/place/anywhere', 'dangling absolute'],
    ['relative', 'chain 1'],
    ['chain 1', 'chain 2'],
    ['to folder/below/deeper', 'through a link'],
    ['absolute to folder/below', 'through an absolute link'],
    ['chain to folder 2', 'chain to folder 1'],
    ['to folder', 'chain to folder 2'],
    ['x'.repeat(255), 'a target as long as a name'],
    ['y/'.repeat(2000), 'a target almost as long as a path'],
  ];
  for (const [target, name] of links) symlinkSync(target, section.at(name));
  symlinkSync('file', folder.at('beside'));
  symlinkSync(Buffer.of(0xff, 0x0a, 0xfe), section.at('target that is no UTF-8'));
  let last = 'folder/file';
  for (let index = 0; index < 30; index++) {
    symlinkSync(last, section.at(`long chain ${index}`));
    last = `long chain ${index}`;
  }
  lutimesSync(section.at('dangling').toString(), 1_000_000.5, 1_000_000.5);
  for (const [target, name] of [
    ['loop', 'loop'],
    ['loop B', 'loop A'],
    ['loop A', 'loop B'],
  ] as const)
    symlinkSync(target, section.at(name));
  return [['loop'], ['loop A', 'loop B']];
}

/** Hard links in one folder and across folders, of files with something about them. */
export function makeHardLinks(section: TreeSection, blockSize: number): void {
  const [a, b] = [section.folder('a'), section.folder('b')];
  const link = (from: Buffer, ...to: Buffer[]): void => to.forEach((path) => linkSync(from, path));
  link(a.file('in one folder', 'one'), a.at('in one folder, again'));
  link(a.file('across', 'two'), b.at('across'), section.at('z across'), section.at('0 across'));
  link(b.file('first seen last', 'three'), a.at('a first'));
  link(a.file('empty', ''), b.at('empty'));
  link(a.file('long', Buffer.alloc(blockSize * 2 + 1, 'long')), b.at('long'));
  link(a.file('setuid', 'setuid', 0o4755), b.at('setuid'));
  // The same content, but inodes of their own.
  for (const name of ['alike 1', 'alike 2']) a.file(name, 'three');
  const many = section.folder('many');
  const first = many.file('0', 'a hundred names');
  for (let index = 1; index < 100; index++) linkSync(first, many.at(String(index)));
  symlinkSync('in one folder', a.at('link'));
  linkSync(a.at('link'), b.at('hard link to a symlink'));
}
