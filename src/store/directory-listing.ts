import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { pathFromText, textOfPath, type BytePath } from '../files/byte-path.js';
import { furtherSlot, isReserved, parseDataName, primarySlot, type Slot } from './directory-layout.js';
import { readSidecar } from './directory-sidecar.js';
import type { ListedVersion } from './port.js';

/** Larger directories than this are read in several passes, so that memory does not grow with them. */
const WINDOW = 50_000;
/** Keys whose sidecars are read at the same time. */
const AT_ONCE = 32;

/** Where a listing goes on: after this row. */
export interface ListedPosition {
  key: string;
  received: number;
  version: string;
}

export interface ListingRange {
  prefix: string;
  /** Only keys after this one. */
  after?: string | undefined;
  /** Only rows after this one. */
  position?: ListedPosition | undefined;
  /** Names of one directory that are held in memory at a time. Default {@link WINDOW}. */
  window?: number;
}

interface KeyFiles {
  key: string;
  /** Of each data file: undefined for the primary one, whose version its sidecar tells. */
  versions: (string | undefined)[];
}

/** All versions in the range: keys ascending by bytes, of one key the newest first. */
export async function* listVersions(root: string, range: ListingRange): AsyncGenerator<ListedVersion> {
  let keys: KeyFiles[] = [];
  for await (const files of walkKeys(root, range)) {
    keys.push(files);
    if (keys.length < AT_ONCE) continue;
    yield* rowsOfAll(root, keys, range.position);
    keys = [];
  }
  yield* rowsOfAll(root, keys, range.position);
}

async function* rowsOfAll(
  root: string,
  keys: readonly KeyFiles[],
  position: ListedPosition | undefined,
): AsyncGenerator<ListedVersion> {
  const rows = await Promise.all(keys.map((files) => rowsOf(root, files)));
  for (const row of rows.flat()) if (position === undefined || isAfter(row, position)) yield row;
}

function isAfter(row: ListedVersion, position: ListedPosition): boolean {
  return row.key !== position.key || newestFirst(row, position) > 0;
}

function newestFirst(
  a: Pick<ListedVersion, 'received' | 'version'>,
  b: Pick<ListedVersion, 'received' | 'version'>,
): number {
  return b.received - a.received || (a.version < b.version ? -1 : a.version > b.version ? 1 : 0);
}

async function rowsOf(root: string, files: KeyFiles): Promise<ListedVersion[]> {
  const rows = await Promise.all(
    files.versions.map((version) => {
      const slot =
        version === undefined ? primarySlot(root, files.key) : furtherSlot(root, files.key, version);
      return rowOf(files.key, slot, version);
    }),
  );
  const byVersion = new Map<string, ListedVersion>();
  for (const row of rows)
    if (row !== undefined && !byVersion.has(row.version)) byVersion.set(row.version, row);
  const sorted = [...byVersion.values()].sort(newestFirst);
  for (const [index, row] of sorted.entries()) row.isLatest = index === 0;
  return sorted;
}

/** Undefined for data whose sidecar is missing or damaged: its lock is not known, so it counts as not stored. */
async function rowOf(
  key: string,
  slot: Slot,
  version: string | undefined,
): Promise<ListedVersion | undefined> {
  const sidecar = await readSidecar(slot.sidecar);
  if (sidecar === 'absent' || sidecar === 'unreadable') return undefined;
  if (version !== undefined && sidecar.version !== version) return undefined;
  const size = await sizeOf(slot.data);
  if (size === undefined) return undefined;
  return {
    key,
    version: sidecar.version,
    // What is really there, so that a file cut short matches nobody's expectation.
    size,
    etag: sidecar.version,
    received: sidecar.received,
    isLatest: false,
    deleteMarker: false,
    storageClass: undefined,
  };
}

/** Length of a regular file; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await lstat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}

async function* walkKeys(root: string, range: ListingRange): AsyncGenerator<KeyFiles> {
  const bounds: Bounds = {
    prefix: pathFromText(range.prefix),
    after: range.after === undefined ? undefined : pathFromText(range.after),
    from: range.position === undefined ? undefined : pathFromText(range.position.key),
    window: range.window ?? WINDOW,
  };
  yield* walkFolder(root, range.prefix.slice(0, range.prefix.lastIndexOf('/') + 1), bounds);
}

interface Bounds {
  prefix: BytePath;
  after: BytePath | undefined;
  from: BytePath | undefined;
  window: number;
}

/** `folder`: below the root, empty or ending in a slash. */
async function* walkFolder(root: string, folder: string, bounds: Bounds): AsyncGenerator<KeyFiles> {
  if (folder.split('/').some((part) => part === '.' || part === '..') || folder.startsWith('/')) return;
  let group: KeyFiles | undefined;
  for await (const item of sortedItems(root, folder, bounds)) {
    const [name = '', version] = item.split('\0');
    const key = textOfPath(`${pathFromText(folder)}${name}` as BytePath);
    if (key === undefined) continue; // Not a name that this store gave.
    if (group !== undefined && group.key !== key) {
      yield group;
      group = undefined;
    }
    if (version === undefined) yield* walkFolder(root, key, bounds);
    else {
      group ??= { key, versions: [] };
      group.versions.push(version === '' ? undefined : version);
    }
  }
  if (group !== undefined) yield group;
}

/**
 * The items of one folder in the order of the keys they stand for: `<name>/` for a folder, `<name>\0<version>` for
 * a data file (the version empty for the primary one). Plain string order is then the order of whole keys.
 */
async function* sortedItems(root: string, folder: string, bounds: Bounds): AsyncGenerator<string> {
  let done = '';
  for (;;) {
    const { items, more } = await smallestItems(root, folder, bounds, done);
    yield* items;
    if (!more) return;
    done = items.at(-1) ?? '';
  }
}

async function smallestItems(
  root: string,
  folder: string,
  bounds: Bounds,
  after: string,
): Promise<{ items: string[]; more: boolean }> {
  let items: string[] = [];
  let limit: string | undefined;
  const below = pathFromText(folder);
  for await (const entry of entriesOf(join(root, folder))) {
    const item = itemOf(entry, folder === '');
    if (item === undefined || item <= after || (limit !== undefined && item > limit)) continue;
    if (!isWithin(`${below}${item}`, bounds)) continue;
    items.push(item);
    if (items.length < 2 * bounds.window) continue;
    items = items.sort().slice(0, bounds.window);
    limit = items.at(-1);
  }
  return { items: items.sort(), more: limit !== undefined };
}

async function* entriesOf(
  path: string,
): AsyncGenerator<{ name: string; isFile: boolean; isFolder: boolean }> {
  let directory: Awaited<ReturnType<typeof opendir>>;
  try {
    directory = await opendir(path, { encoding: 'latin1', bufferSize: 1024 });
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  for await (const entry of directory)
    yield { name: entry.name, isFile: entry.isFile(), isFolder: entry.isDirectory() };
}

function itemOf(
  entry: { name: string; isFile: boolean; isFolder: boolean },
  atRoot: boolean,
): string | undefined {
  if (atRoot && isReserved(entry.name)) return undefined;
  if (entry.isFolder) return `${entry.name}/`;
  if (!entry.isFile) return undefined;
  const { name, version } = parseDataName(entry.name);
  return `${name}\0${version ?? ''}`;
}

function isWithin(item: string, { prefix, after, from }: Bounds): boolean {
  if (item.endsWith('/')) {
    if (!item.startsWith(prefix) && !prefix.startsWith(item)) return false;
    return [after, from].every((bound) => bound === undefined || item > bound || bound.startsWith(item));
  }
  const key = item.slice(0, item.lastIndexOf('\0'));
  return (
    key.startsWith(prefix) && (after === undefined || key > after) && (from === undefined || key >= from)
  );
}
