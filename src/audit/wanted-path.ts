import { SysbackupError } from '../errors.js';
import { type BytePath, baseOf, displayPath, pathFromText } from '../files/byte-path.js';
import type { LazyLine } from '../manifest/lazy-line.js';
import { distance, nearest } from '../manifest/nearest.js';
import { linkTarget } from '../manifest/paths.js';

const SHOWN = 3;

/** A path as a person writes it: without slashes at its end or several in a row. */
export function wantedPath(text: string): BytePath {
  const path = text.replaceAll(/\/{2,}/g, '/');
  return pathFromText(path.length > 1 ? path.replace(/\/$/, '') : path);
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
  readonly #wanted: BytePath;
  readonly #sameName: string;
  readonly #elsewhere: BytePath[] = [];
  #deepest: LazyLine | undefined;
  #below = '';
  #name = '';
  #nearest: { path: BytePath; distance: number }[] = [];

  constructor(wanted: BytePath) {
    this.#wanted = wanted;
    this.#sameName = `/${baseOf(wanted)}`;
  }

  see(path: BytePath, lazy: LazyLine): void {
    const wanted = this.#wanted;
    if (this.#elsewhere.length < SHOWN && path.endsWith(this.#sameName)) this.#elsewhere.push(path);
    const prefix = prefixBelow(path);
    if (wanted.startsWith(prefix)) {
      this.#deepest = lazy;
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

  /** That the path is not in the run, with what was found instead. */
  notFound(run: string): SysbackupError {
    const wanted = displayPath(this.#wanted);
    return new SysbackupError('NOT_FOUND', `${wanted} is not in the run ${run}`, { hint: this.#hint() });
  }

  #hint(): string {
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
    return '`s3-sysbackup ls RUN` lists what there is.';
  }
}

/** That a run has no snapshot of this name, which may have been meant as a path. */
export function noSnapshot(name: string, names: readonly string[], run: string): SysbackupError {
  const near = nearest(name, names);
  const hint =
    near.length > 0
      ? `It has ${near.join(', ')}. Paths begin with a slash.`
      : 'Paths begin with a slash; `s3-sysbackup ls RUN` lists what there is.';
  return new SysbackupError('NOT_FOUND', `the run ${run} has no snapshot of ${name}`, { hint });
}
