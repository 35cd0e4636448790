import type { BytePath } from '../files/byte-path.js';
import { type FileKind, kindOfWords, PACKED_STAT_WORDS } from '../files/stat.js';

/** Some paths in ascending byte order, with the packed stat of each at `statAt[i]` in `stats`. */
export interface PathBatch {
  paths: BytePath[];
  stats: Buffer;
  /** The memory of `stats` in words. */
  words: Int32Array;
  statAt: Uint32Array;
}

/** What a page holds of one folder. */
interface Folder {
  path: BytePath;
  /** Where all that lies in it begins: its path and a slash. */
  prefix: string;
  paths: BytePath[];
  /** The number of each path's stat in the page. */
  stats: number[];
  folders: Folder[];
}

/** Stats there is room for at first. */
const FIRST_ROOM = 1024;

/**
 * Paths with their stats, to be had in byte order. Kept by folder, since pickers print folder by folder: to sort a
 * hundred thousand names in small heaps takes half the time of sorting as many paths, and no table of all paths is
 * needed to find the same one again.
 */
export class PathPage {
  readonly #folders = new Map<BytePath, Folder>();
  readonly #root = newFolder('/' as BytePath, '/');
  #last = this.#root;
  /** The number of the stat of `/`, which lies in no folder. */
  #rootStat: number | undefined;
  #words = new Int32Array(FIRST_ROOM * PACKED_STAT_WORDS);
  #size = 0;

  constructor() {
    this.#folders.set(this.#root.path, this.#root);
  }

  /** How many have been added; the same path twice counts twice. */
  get size(): number {
    return this.#size;
  }

  /** @param folder the path's own, by its real path */
  add(folder: BytePath, path: BytePath, words: Int32Array, from: number): void {
    const number = this.#keepStat(words, from);
    if (path === '/') {
      this.#rootStat = number;
      return;
    }
    if (folder !== this.#last.path) this.#last = this.#folder(folder);
    this.#last.paths.push(path);
    this.#last.stats.push(number);
  }

  /** What kind of file the path is, if it was added last of those in its folder; undefined if it was not. */
  kindOfLast(folder: BytePath, path: BytePath): FileKind | undefined {
    const of = this.#folders.get(folder);
    if (of?.paths.at(-1) !== path) return undefined;
    return kindOfWords(this.#words, (of.stats.at(-1) ?? 0) * PACKED_STAT_WORDS);
  }

  /** All of it in order, each path once. */
  sorted(): PathBatch {
    const paths: BytePath[] = [];
    const statAt = new Uint32Array(this.#size);
    const put = (path: BytePath, stat: number): void => {
      if (paths.at(-1) === path) return;
      statAt[paths.length] = stat * PACKED_STAT_WORDS * 4;
      paths.push(path);
    };
    if (this.#rootStat !== undefined) put('/' as BytePath, this.#rootStat);
    walk(this.#root, put);
    return { paths, statAt, words: this.#words, stats: Buffer.from(this.#words.buffer) };
  }

  #keepStat(words: Int32Array, from: number): number {
    const at = this.#size * PACKED_STAT_WORDS;
    if (at === this.#words.length) {
      const larger = new Int32Array(this.#words.length * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    // A loop: for 18 words, setting a view of them costs more than the words.
    for (let word = 0; word < PACKED_STAT_WORDS; word++) this.#words[at + word] = words[from + word] ?? 0;
    return this.#size++;
  }

  #folder(path: BytePath): Folder {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const folder = newFolder(path, `${path}/`);
    this.#folders.set(path, folder);
    const slash = path.lastIndexOf('/');
    this.#folder((slash === 0 ? '/' : path.slice(0, slash)) as BytePath).folders.push(folder);
    return folder;
  }
}

function newFolder(path: BytePath, prefix: string): Folder {
  return { path, prefix, paths: [], stats: [], folders: [] };
}

/**
 * What lies in a folder comes where the folder's path with a slash would: not always right behind the folder itself,
 * since `a-b` and `a.b` come before `a/`.
 */
function walk({ paths, stats, folders }: Folder, put: (path: BytePath, stat: number) => void): void {
  const order = orderOf(paths);
  folders.sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
  let next = 0;
  for (const folder of folders) {
    for (; next < order.length; next++) {
      const at = order[next] ?? 0;
      const path = paths[at] as BytePath;
      if (path > folder.prefix) break;
      put(path, stats[at] ?? 0);
    }
    walk(folder, put);
  }
  for (; next < order.length; next++) {
    const at = order[next] ?? 0;
    put(paths[at] as BytePath, stats[at] ?? 0);
  }
}

function orderOf(paths: readonly BytePath[]): number[] {
  const order = paths.map((_, index) => index);
  if (order.length > 1) order.sort((a, b) => compare(paths[a] as BytePath, paths[b] as BytePath));
  return order;
}

function compare(a: BytePath, b: BytePath): number {
  return a < b ? -1 : a === b ? 0 : 1;
}
