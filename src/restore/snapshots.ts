import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener, Problem } from '../events.js';
import { displayPath, pathFromText } from '../files/byte-path.js';
import { componentsOf, type SafeDir } from '../files/safe-dir.js';
import { fetchManifest } from '../manifest/fetch.js';
import { nearest } from '../manifest/nearest.js';
import type { SnapshotEntry } from '../manifest/types.js';
import { foldedPath } from './folded-paths.js';
import { FrozenObjectError } from '../store/cold.js';
import type { ObjectStore } from '../store/port.js';
import { ContentFetcher, type Piece } from './fetch-content.js';
import { FrozenObjects } from './frozen.js';
import { StopCause } from './stop-cause.js';
import { TakenPlaces } from './taken-places.js';
import { TargetFolders } from './target-folders.js';
import { type FileContent, writeFile } from './write-file.js';

export interface RestoreSnapshotsOptions {
  store: Pick<ObjectStore, 'get' | 'head' | 'list' | 'description'>;
  /** The run's manifest: see `resolveRun`. */
  run: { key: string; version: string };
  /** Folder to write them into; made, closed to others, where it is not there. */
  into: string;
  /** Snapshotters whose output is wanted. Absent or empty: all. */
  names?: readonly string[] | undefined;
  /** Folder for temporary files. */
  spoolFolder: string;
  /** Gets the objects that must be thawed before they can be read. */
  frozen?: FrozenObjects | undefined;
  /** Objects fetched at a time. Default 4. */
  concurrency?: number | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface RestoredSnapshot {
  /** The snapshotter's file name, and that of the restored file. */
  name: string;
  path: string;
  size: number;
  description: string | undefined;
  /**
   * The shell command that takes the snapshot on its standard input, as it stood in the bucket: whoever can write
   * there can write it. It must not be run before a person has seen it and asked for it.
   */
  restoreThrough: string | undefined;
}

export interface RestoreSnapshotsSummary {
  backup: string;
  run: string;
  restored: RestoredSnapshot[];
  problems: Problem[];
}

const CONCURRENCY = 4;
/** Between two reports of progress. */
const PROGRESS_BYTES = 8 * 1024 * 1024;
const DESCRIPTION_SUFFIX = '.description.txt';
/** Bytes that a file's name can have. */
const LONGEST_NAME = 255;

/**
 * Writes the snapshots of one run into a folder, each as a file of its snapshotter's name, readable by this user
 * alone, and what the snapshotter said of it beside it as `<name>.description.txt`. What has such a name is replaced,
 * when the new content has been found right. Runs nothing.
 *
 * Throws NOT_FOUND where a name was asked for that the run has no snapshot of, and what {@link restore} throws.
 */
export async function restoreSnapshots(options: RestoreSnapshotsOptions): Promise<RestoreSnapshotsSummary> {
  const { store, run, spoolFolder, signal, onEvent } = options;
  const manifest = await fetchManifest(store, run, spoolFolder, { signal });
  try {
    const wanted: SnapshotEntry[] = [];
    const all: string[] = [];
    for await (const lines of manifest.lines(signal))
      for (const line of lines) {
        if (line.typ !== 's') continue;
        all.push(line.name);
        if (isWanted(line, options.names)) wanted.push(line);
      }
    refuseUnknown(options.names ?? [], all);
    const into = resolve(options.into);
    const folders = TargetFolders.open(pathFromText(into), true);
    const summary: RestoreSnapshotsSummary = {
      backup: manifest.header.backup,
      run: manifest.header.run,
      restored: [],
      problems: [],
    };
    if (!folders) return summary;
    try {
      const root = folders.hold(pathFromText('/'));
      if ('errno' in root) throw new SysbackupError('SYSTEM', `cannot open ${into}: ${root.errno}`);
      const writer = new SnapshotWriter(root.dir, new TakenPlaces(folders), into, all, options);
      for (const snapshot of wanted) {
        throwIfAborted(signal);
        const result = await writer.write(snapshot);
        if ('severity' in result) {
          summary.problems.push(result);
          onEvent?.({ type: 'problem', problem: result });
        } else summary.restored.push(result);
      }
      root.release();
    } finally {
      folders.close();
    }
    return summary;
  } finally {
    await manifest.remove();
  }
}

class SnapshotWriter {
  readonly #dir: SafeDir;
  readonly #taken: TakenPlaces;
  readonly #into: string;
  readonly #names: readonly string[];
  readonly #fetcher: ContentFetcher;
  readonly #stop: StopCause;
  readonly #signal: AbortSignal | undefined;
  readonly #onEvent: EventListener | undefined;
  readonly #frozen: FrozenObjects;
  readonly #written = new Set<string>();

  /** `names`: of all snapshots of the run. */
  constructor(
    dir: SafeDir,
    taken: TakenPlaces,
    into: string,
    names: readonly string[],
    options: RestoreSnapshotsOptions,
  ) {
    const { store, concurrency = CONCURRENCY, signal } = options;
    this.#dir = dir;
    this.#taken = taken;
    this.#into = into;
    this.#names = names;
    this.#fetcher = new ContentFetcher(store, { concurrency, signal });
    this.#stop = new StopCause(into);
    this.#signal = signal;
    this.#onEvent = options.onEvent;
    this.#frozen = options.frozen ?? new FrozenObjects();
  }

  async write(snapshot: SnapshotEntry): Promise<RestoredSnapshot | Problem> {
    const { name, size, sha, dat, description, restore_through: restoreThrough } = snapshot;
    if (!isFileName(name) || this.#written.has(name))
      return problem(name, 'unsafe-path', 'is no name that a snapshotter could have, and is not restored');
    this.#written.add(name);
    const first = this.#taken.take(pathFromText(`/${name}`), 'f');
    if (first !== undefined) {
      const other = displayPath(first.slice(1));
      return problem(
        name,
        'name-taken',
        `its place is taken by ${other}: the target does not distinguish them`,
      );
    }
    let written = 0;
    try {
      written = await this.#put(name, { sha, size, pieces: this.#fetcher.pieces(dat, size) });
      this.#stop.fetched();
      if (description !== undefined) await this.#describe(`${name}${DESCRIPTION_SUFFIX}`, description);
    } catch (error) {
      throwIfAborted(this.#signal);
      if (error instanceof FrozenObjectError) {
        this.#frozen.add(dat, size, error.storageClass);
        return problem(name, 'frozen', messageOf(error));
      }
      this.#stop.failed(error);
      if (this.#stop.error) throw this.#stop.error;
      const isDamaged = error instanceof SysbackupError && error.code === 'DAMAGED';
      return problem(name, isDamaged ? 'damaged' : 'not-restored', messageOf(error));
    }
    return { name, path: join(this.#into, name), size: written, description, restoreThrough };
  }

  async #describe(file: string, description: string): Promise<void> {
    // Another snapshotter's own output comes first; a name without room for the ending leaves it to the manifest.
    if (!isFileName(file) || Buffer.byteLength(file) > LONGEST_NAME) return;
    const folded = foldedPath(pathFromText(file));
    if (this.#names.some((name) => foldedPath(pathFromText(name)) === folded)) return;
    const bytes = Buffer.from(description.endsWith('\n') ? description : `${description}\n`);
    const sha = createHash('sha256').update(bytes).digest('hex');
    await this.#put(file, { sha, size: bytes.length, pieces: once(bytes) });
  }

  /** How many bytes it was. */
  async #put(name: string, content: FileContent): Promise<number> {
    let bytes = 0;
    let said = 0;
    const total = content.size === undefined ? {} : { bytesTotal: content.size };
    const onBytes = (more: number): void => {
      bytes += more;
      if (bytes !== content.size && bytes - said < PROGRESS_BYTES) return;
      said = bytes;
      this.#onEvent?.({ type: 'progress', phase: 'restore', entries: 0, bytes, ...total });
    };
    await writeFile(this.#dir, pathFromText(name), content, { onBytes, signal: this.#signal });
    return bytes;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Piece, void> {
  yield { bytes, times: 1 };
}

function isWanted({ name }: SnapshotEntry, names: readonly string[] | undefined): boolean {
  return names === undefined || names.length === 0 || names.includes(name);
}

function isFileName(name: string): boolean {
  return !name.includes('/') && componentsOf(pathFromText(`/${name}`))?.length === 1;
}

function refuseUnknown(names: readonly string[], all: readonly string[]): void {
  const unknown = names.find((name) => !all.includes(name));
  if (unknown === undefined) return;
  const near = nearest(unknown, all);
  throw new SysbackupError('NOT_FOUND', `the run has no snapshot of ${unknown}`, {
    hint: near.length > 0 ? `It has ${near.join(', ')}.` : 'See the snapshotters of the run with `ls`.',
  });
}

function problem(source: string, code: string, message: string): Problem {
  return {
    severity: 'failure',
    code,
    source,
    message: `snapshot ${displayPath(pathFromText(source))}: ${message}`,
  };
}
