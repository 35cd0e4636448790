import { SysbackupError } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import type { LazyLine } from '../manifest/lazy-line.js';
import { type ManifestStore, readLazily } from '../manifest/reader.js';
import type { ManifestEntry } from '../manifest/types.js';
import { NearPaths, prefixBelow } from '../manifest/near-paths.js';
import { noSnapshot, pathNotFound, wantedPath } from './wanted-path.js';

export interface ListEntriesOptions {
  store: ManifestStore;
  /** The run's manifest: see `resolveRun`. */
  run: { key: string; version: string; run: string };
  /**
   * A path, for its entry and those of all below it, or the name of a snapshotter, which does not begin with a
   * slash. Absent: all entries of the run. No symlink is followed.
   */
  path?: string | undefined;
  /** How many levels below `path` (without it: below `/`). 0: only itself. Default: all. */
  depth?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The entries of one run in path order, and then its snapshots, in batches. The manifest is read to its end even
 * where what is wanted comes early, since only its end proves the rest: what was given before an error is not sure.
 *
 * Throws NOT_FOUND with the nearest paths where nothing has that path, DAMAGED, and what the store throws.
 */
export async function* listEntries(options: ListEntriesOptions): AsyncGenerator<ManifestEntry[], void> {
  const { store, run, path, signal } = options;
  const wanted =
    path === undefined || path.startsWith('/')
      ? new PathsWanted(wantedPath(path ?? '/'), options.depth ?? Infinity, path === undefined)
      : new SnapshotWanted(path);
  for await (const lines of readLazily(store, run.key, run.version, { signal })) {
    const chosen = lines.flatMap((line) => wanted.from(line) ?? []);
    if (chosen.length > 0) yield chosen;
  }
  const missing = wanted.missing(run.run);
  if (missing) throw missing;
}

interface Wanted {
  /** The line's entry, if it is one that is wanted. */
  from(line: LazyLine): ManifestEntry | undefined;
  /** Where nothing was taken that should have been. */
  missing(run: string): SysbackupError | undefined;
}

class PathsWanted implements Wanted {
  readonly #path: BytePath;
  readonly #below: string;
  readonly #depth: number;
  readonly #isAll: boolean;
  readonly #near: NearPaths;
  #isFound = false;

  /** `isAll`: snapshots too, and nothing is missing where there is nothing. */
  constructor(path: BytePath, depth: number, isAll: boolean) {
    this.#path = path;
    this.#below = prefixBelow(path);
    this.#depth = depth;
    this.#isAll = isAll;
    this.#near = new NearPaths(path);
    this.#isFound = isAll;
  }

  from(lazy: LazyLine): ManifestEntry | undefined {
    const { entry } = lazy;
    if (!entry) return this.#isAll && lazy.line.typ === 's' ? lazy.line : undefined;
    const { path } = entry;
    if (this.#isWanted(path)) {
      this.#isFound = true;
      return lazy.fileSystemEntry;
    }
    if (!this.#isFound) this.#near.see(path, lazy);
    return undefined;
  }

  #isWanted(path: BytePath): boolean {
    if (this.#isAll && this.#depth === Infinity) return true;
    return path === this.#path || (path.startsWith(this.#below) && this.#isNearEnough(path));
  }

  #isNearEnough(path: BytePath): boolean {
    if (this.#depth === Infinity) return true;
    let levels = 1;
    for (let at = path.indexOf('/', this.#below.length); at !== -1; at = path.indexOf('/', at + 1))
      levels += 1;
    return levels <= this.#depth;
  }

  missing(run: string): SysbackupError | undefined {
    return this.#isFound ? undefined : pathNotFound(this.#near, run);
  }
}

class SnapshotWanted implements Wanted {
  readonly #name: string;
  readonly #names: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  from(lazy: LazyLine): ManifestEntry | undefined {
    if (lazy.entry || lazy.line.typ !== 's') return undefined;
    const { line } = lazy;
    this.#names.push(line.name);
    return line.name === this.#name ? line : undefined;
  }

  missing(run: string): SysbackupError | undefined {
    return this.#names.includes(this.#name) ? undefined : noSnapshot(this.#name, this.#names, run);
  }
}
