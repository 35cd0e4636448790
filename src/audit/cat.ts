import { createHash } from 'node:crypto';
import { SysbackupError } from '../errors.js';
import { displayPath } from '../files/byte-path.js';
import { linkTarget } from '../manifest/paths.js';
import { type ManifestStore, readLazily } from '../manifest/reader.js';
import type { FileEntry, ManifestEntry, SnapshotEntry } from '../manifest/types.js';
import { ContentFetcher } from '../restore/fetch-content.js';
import { NearPaths } from '../manifest/near-paths.js';
import { noSnapshot, pathNotFound, wantedPath } from './wanted-path.js';

export interface OpenContentOptions {
  store: ManifestStore;
  /** The run's manifest: see `resolveRun`. */
  run: { key: string; version: string; run: string };
  /** A file's absolute path, or the name of a snapshotter, which does not begin with a slash. */
  path: string;
  /** Blocks fetched at a time. Default 4. */
  concurrency?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface OpenedContent {
  entry: FileEntry | SnapshotEntry;
  /**
   * The unencoded bytes in pieces, each good until the next is asked for. Throws DAMAGED at the latest behind the
   * last piece where they are not what was backed up, and what the store throws. To be used once.
   */
  bytes: AsyncGenerator<Uint8Array, void>;
}

const CONCURRENCY = 4;

/**
 * One file's or snapshot's content. The manifest has been read and found right to its end when this resolves.
 *
 * Throws NOT_FOUND with the nearest paths, USAGE where the path is a folder's or a symlink's (none is followed),
 * DAMAGED, and what the store throws.
 */
export async function openContent(options: OpenContentOptions): Promise<OpenedContent> {
  const { store, signal, concurrency = CONCURRENCY } = options;
  const entry = await findEntry(options);
  if (entry.typ === 'd')
    throw new SysbackupError('USAGE', `${options.path} is a folder`, {
      hint: '`s3-sysbackup ls` shows what is in it, `restore --include` brings it back.',
    });
  if (entry.typ === 'l')
    throw new SysbackupError('USAGE', `${options.path} is a symlink to ${displayPath(linkTarget(entry))}`, {
      hint: 'None is followed: ask for the file that it leads to.',
    });
  const fetcher = new ContentFetcher(store, { concurrency, signal });
  return { entry, bytes: checked(entry, fetcher, options.path) };
}

async function findEntry({ store, run, path, signal }: OpenContentOptions): Promise<ManifestEntry> {
  const isPath = path.startsWith('/');
  const wanted = wantedPath(path);
  const near = new NearPaths(wanted);
  const snapshots: string[] = [];
  let found: ManifestEntry | undefined;
  for await (const lines of readLazily(store, run.key, run.version, { signal })) {
    for (const lazy of lines) {
      if (!lazy.entry) {
        const { line } = lazy;
        if (line.typ !== 's') continue;
        snapshots.push(line.name);
        if (!isPath && line.name === path) found ??= line;
      } else if (isPath && found === undefined) {
        if (lazy.entry.path === wanted) found = lazy.fileSystemEntry;
        else near.see(lazy.entry.path, lazy);
      }
    }
  }
  if (found) return found;
  throw isPath ? pathNotFound(near, run.run) : noSnapshot(path, snapshots, run.run);
}

async function* checked(
  { dat, sha, size }: FileEntry | SnapshotEntry,
  fetcher: ContentFetcher,
  path: string,
): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256');
  for await (const { bytes, times } of fetcher.pieces(dat, size)) {
    for (let round = 0; round < times; round += 1) {
      hash.update(bytes);
      yield bytes;
    }
  }
  const found = hash.digest('hex');
  if (sha !== undefined && found !== sha)
    throw new SysbackupError(
      'DAMAGED',
      `what came of ${path} is not what was backed up: its SHA-256 is ${found} where ${sha} is recorded`,
      { hint: 'Use another run, and verify this one.' },
    );
}
