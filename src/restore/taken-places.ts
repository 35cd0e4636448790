import { baseOf, type BytePath, parentOf } from '../files/byte-path.js';
import type { FileSystemEntry } from '../manifest/types.js';
import { foldedPath } from './folded-paths.js';
import type { TargetFolders } from './target-folders.js';

type Kind = FileSystemEntry['typ'];

/**
 * Which paths of a restore have taken a place that another path of it would take as well, since the target's file
 * system does not distinguish their names. To be asked only of paths that may collide (`FoldedPaths`), and when no
 * other is being written.
 */
export class TakenPlaces {
  readonly #tree: TargetFolders;
  readonly #restored = new Map<string, { path: BytePath; kind: Kind }[]>();
  /** Pairs of directories that are there, and whether they are one. */
  readonly #pairs = new Map<string, boolean>();

  constructor(tree: TargetFolders) {
    this.#tree = tree;
  }

  /**
   * Takes the place of a path. Returns the path that has taken it before; undefined where none has, or where both are
   * directories, of which the target then has one with the content of both.
   */
  take(path: BytePath, kind: Kind): BytePath | undefined {
    const folded = foldedPath(path);
    const others = this.#restored.get(folded) ?? [];
    const first = others.find((other) => this.#isSame(other.path, path));
    if (first !== undefined && (first.kind !== 'd' || kind !== 'd')) return first.path;
    this.#restored.set(folded, [...others, { path, kind }]);
    return undefined;
  }

  /**
   * Whether both names lead to one thing: both are found, and the directory does not list both. (Inode numbers do not
   * tell: some FUSE file systems give each spelling one of its own.)
   */
  #isSame(a: BytePath, b: BytePath): boolean {
    const [folderA, folderB] = [parentOf(a), parentOf(b)];
    if (folderA !== folderB && !this.#areOneFolder(folderA, folderB)) return false;
    const folder = this.#tree.hold(folderB);
    if ('errno' in folder) return false;
    try {
      const [nameA, nameB] = [baseOf(a), baseOf(b)];
      const [statA, statB] = [folder.dir.stat(nameA), folder.dir.stat(nameB)];
      if (typeof statA === 'string' || typeof statB === 'string') return false;
      if (nameA === nameB) return true;
      const names = folder.dir.names();
      if (typeof names === 'string') return statA.inodeId === statB.inodeId && statA.links === 1;
      const listed = new Set(names);
      return !listed.has(nameA) || !listed.has(nameB);
    } finally {
      folder.release();
    }
  }

  #areOneFolder(a: BytePath, b: BytePath): boolean {
    const pair = `${a}\0${b}`;
    const known = this.#pairs.get(pair);
    if (known !== undefined) return known;
    const isSame = this.#isSame(a, b);
    this.#pairs.set(pair, isSame);
    return isSame;
  }
}
