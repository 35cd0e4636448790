import { type BytePath, baseOf, displayPath } from '../files/byte-path.js';
import { distance } from './nearest.js';
import { linkTarget } from './paths.js';
import type { FileSystemEntry } from './types.js';

const SHOWN = 3;

/** A `LazyLine`, or what stands in for one. */
export interface SeenEntry {
  readonly fileSystemEntry: FileSystemEntry | undefined;
}

/** What all paths below a folder begin with. */
export function prefixBelow(folder: BytePath): string {
  return folder === '/' ? '/' : `${folder}/`;
}

/**
 * Looks at the entries of a run, in path order, for what someone may have meant by a path that is not there: the
 * names that are nearest in the deepest of its folders that is there, and the same name in other places. Holds a few
 * paths at a time, however many there are.
 */
export class NearPaths {
  readonly wanted: BytePath;
  readonly #sameName: string;
  readonly #elsewhere: BytePath[] = [];
  #deepest: SeenEntry | undefined;
  #below = '';
  #name = '';
  #nearest: { path: BytePath; distance: number }[] = [];

  constructor(wanted: BytePath) {
    this.wanted = wanted;
    this.#sameName = `/${baseOf(wanted)}`;
  }

  /** `entry` is read only where the path is above the wanted one. */
  see(path: BytePath, entry: SeenEntry): void {
    const wanted = this.wanted;
    if (this.#elsewhere.length < SHOWN && path.endsWith(this.#sameName)) this.#elsewhere.push(path);
    const prefix = prefixBelow(path);
    if (wanted.startsWith(prefix)) {
      this.#deepest = entry;
      this.#below = prefix;
      this.#name = wanted.slice(prefix.length).split('/', 1)[0] ?? '';
      this.#nearest = [];
    } else if (path.startsWith(this.#below) && !path.includes('/', this.#below.length)) {
      this.#compare(path);
    }
  }

  #compare(path: BytePath): void {
    const name = path.slice(this.#below.length);
    const most = Math.max(2, Math.ceil(Math.max(name.length, this.#name.length) / 2));
    if (Math.abs(name.length - this.#name.length) > most) return;
    const changes = distance(name, this.#name);
    if (changes > most) return;
    this.#nearest.push({ path, distance: changes });
    this.#nearest.sort((a, b) => a.distance - b.distance);
    this.#nearest.length = Math.min(this.#nearest.length, SHOWN);
  }

  /** A sentence that says where else to look; undefined where nothing is near. */
  hint(): string | undefined {
    const folder = this.#deepest?.fileSystemEntry;
    if (folder?.typ === 'l') {
      const target = displayPath(linkTarget(folder));
      return `${displayPath(this.#below.slice(0, -1))} is a symlink to ${target}; ask for the path that it leads to.`;
    }
    if (folder?.typ === 'f') return `${displayPath(this.#below.slice(0, -1))} is a file.`;
    const nearest = this.#nearest.map(({ path }) => path);
    const shown = [...new Set([...nearest, ...this.#elsewhere])].slice(0, SHOWN).map(displayPath);
    if (shown.length > 0)
      return `The nearest ${shown.length === 1 ? 'path is' : 'paths are'} ${shown.join(', ')}.`;
    return undefined;
  }
}
