import { opendir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathFromText, textOfPath, type BytePath } from '../files/byte-path.js';
import { furtherSlot, isReserved, parseDataName, primarySlot, type Slot } from './directory-layout.js';
import { isMissing, sizeOf, sizeOfSync } from './directory-size.js';
import { readSidecar, readSidecarSync, type SidecarReading } from './directory-sidecar.js';
import { isLocalFileSystem } from './file-system-kind.js';
import type { HiddenData, ListedVersion } from './port.js';

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

/**
 * All versions in the range: keys ascending by bytes, of one key the newest first. Data without a readable sidecar is
 * no row: its lock is not known. `onHidden` hears of it, so that nobody takes it for not being there.
 */
export async function* listVersions(
  root: string,
  range: ListingRange,
  onHidden: (hidden: HiddenData) => void = () => undefined,
): AsyncGenerator<ListedVersion> {
  // A listing reads a sidecar per row: on a local file system that is six times faster without threads.
  const waiting = await isLocalFileSystem(root);
  let keys: KeyFiles[] = [];
  for await (const files of walkKeys(root, range)) {
    keys.push(files);
    if (keys.length < AT_ONCE) continue;
    yield* rowsOfAll(root, keys, { position: range.position, waiting, onHidden });
    keys = [];
  }
  yield* rowsOfAll(root, keys, { position: range.position, waiting, onHidden });
}

interface RowOptions {
  position: ListedPosition | undefined;
  waiting: boolean;
  onHidden: (hidden: HiddenData) => void;
}

async function* rowsOfAll(
  root: string,
  keys: readonly KeyFiles[],
  { position, waiting, onHidden }: RowOptions,
): AsyncGenerator<ListedVersion> {
  const found = waiting
    ? keys.map((files) => slotsOf(root, files).map(readSlotSync))
    : await Promise.all(keys.map((files) => Promise.all(slotsOf(root, files).map(readSlot))));
  for (const [index, files] of keys.entries()) {
    const { key } = files;
    let slots = found[index] ?? [];
    if (slots.some(isHidden)) {
      // What is being stored now had no sidecar a moment ago, and has its data by now: the second look counts.
      slots = await Promise.all(slotsOf(root, files).map(readSlot));
      if (position?.key !== key)
        for (const slot of slots) if (isHidden(slot)) onHidden(hiddenOf(root, key, slot));
    }
    for (const row of rowsOf(key, slots)) if (position === undefined || isAfter(row, position)) yield row;
  }
}

/** Whether data is there and its sidecar does not say what it is. */
function isHidden({ named, sidecar, size }: FoundSlot): boolean {
  if (size === undefined) return false;
  return typeof sidecar === 'string' || (named !== undefined && sidecar.version !== named);
}

function hiddenOf(root: string, key: string, { named, sidecar }: FoundSlot): HiddenData {
  const slot = named === undefined ? primarySlot(root, key) : furtherSlot(root, key, named);
  return {
    key,
    version: named,
    sidecar: relative(root, slot.sidecar),
    missing: sidecar === 'absent',
    root,
  };
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

/** What lies in one slot, and which version its name says it is. */
interface FoundSlot {
  named: string | undefined;
  sidecar: SidecarReading;
  size: number | undefined;
}

function slotsOf(root: string, { key, versions }: KeyFiles): (Slot & { named: string | undefined })[] {
  return versions.map((named) => ({
    named,
    ...(named === undefined ? primarySlot(root, key) : furtherSlot(root, key, named)),
  }));
}

async function readSlot({ named, sidecar, data }: Slot & { named: string | undefined }): Promise<FoundSlot> {
  return { named, sidecar: await readSidecar(sidecar), size: await sizeOf(data) };
}

function readSlotSync({ named, sidecar, data }: Slot & { named: string | undefined }): FoundSlot {
  return { named, sidecar: readSidecarSync(sidecar), size: sizeOfSync(data) };
}

function rowsOf(key: string, slots: readonly FoundSlot[]): ListedVersion[] {
  const byVersion = new Map<string, ListedVersion>();
  for (const slot of slots) {
    const row = rowOf(key, slot);
    if (row !== undefined && !byVersion.has(row.version)) byVersion.set(row.version, row);
  }
  const sorted = [...byVersion.values()].sort(newestFirst);
  for (const [index, row] of sorted.entries()) row.isLatest = index === 0;
  return sorted;
}

/** Undefined for data whose sidecar is missing or damaged: its lock is not known, so it counts as not stored ({@link isHidden}). */
function rowOf(key: string, { named, sidecar, size }: FoundSlot): ListedVersion | undefined {
  if (sidecar === 'absent' || sidecar === 'unreadable' || size === undefined) return undefined;
  if (named !== undefined && sidecar.version !== named) return undefined;
  return {
    key,
    version: sidecar.version,
    // What is really there, so that a file cut short matches nobody's expectation.
    size,
    ...(sidecar.size === size ? {} : { storedSize: sidecar.size }),
    etag: sidecar.version,
    received: sidecar.received,
    isLatest: false,
    deleteMarker: false,
    storageClass: undefined,
  };
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
