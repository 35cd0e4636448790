import { chmodSync, utimesSync } from 'node:fs';
import { makeContents, makeSpecialFiles, makeTimes, noise } from './awkward-contents.js';
import { makeHardLinks, makeSymlinks } from './awkward-links.js';
import { makeDeep, makeNames } from './awkward-names.js';
import { makeAcls, makeModes, makeXattrs } from './awkward-rights.js';
import { TreeSection } from './tree-section.js';

export interface AwkwardTree {
  root: string;
  /** Paths below the root of FIFOs, sockets and devices, which no backup has. */
  special: string[];
  /** Circles of symlinks: the paths below the root of those in each. */
  circles: string[][];
  /** What could not be made here, and why: empty for root on a machine with all programs. */
  left: string[];
}

export interface AwkwardTreeOptions {
  /** That the backup will be made with: some files are just as long, or one byte off. */
  blockSize: number;
  /** Ordinary files beside the awkward ones. Default 4,000. */
  ordinary?: number;
}

/**
 * Makes a tree of about 5,000 entries that has in it what backups get wrong. What only root can make, or what needs a
 * program that is not there, is left out and said to be.
 */
export function makeAwkwardTree(root: string, options: AwkwardTreeOptions): AwkwardTree {
  const { blockSize, ordinary = 4000 } = options;
  const top = new TreeSection(root);
  makeNames(top.folder('names'));
  makeDeep(top.folder('deep'));
  const circles = makeSymlinks(top.folder('symlinks')).map((names) =>
    names.map((name) => `symlinks/${name}`),
  );
  makeHardLinks(top.folder('hard links'), blockSize);
  makeModes(top.folder('modes'));
  makeAcls(top.folder('acls'));
  makeXattrs(top.folder('xattrs'));
  makeContents(top.folder('contents'), blockSize);
  const special = makeSpecialFiles(top.folder('special')).map((name) => `special/${name}`);
  makeOrdinary(top.folder('ordinary'), ordinary);
  makeTimes(top.folder('times'));
  chmodSync(root, 0o751);
  utimesSync(root, 1_500_000_000, 1_500_000_000);
  return { root, special, circles, left: top.left };
}

/** Files as most machines have them: small, text, in folders of some dozens. */
function makeOrdinary(section: TreeSection, count: number): void {
  let folder = section;
  for (let index = 0; index < count; index++) {
    if (index % 40 === 0) folder = section.folder(`folder ${index}`);
    const text = `${index}: `.repeat((index * 37) % 400);
    folder.file(`file ${index}`, index % 10 === 0 ? noise(index, String(index)) : text);
  }
}
