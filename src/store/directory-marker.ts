import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { MARKER_FILE } from './directory-layout.js';

/** What the marker file of a directory store says. */
export interface Marker {
  /** 32 hex digits. No other store has them, but a copy of this one. */
  id: string;
}

const ID = /^[0-9a-f]{32}$/;
/** Longer than a marker will ever be. */
const MOST_BYTES = 1 << 20;
/** Not through a link, and not waiting for a FIFO. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function markerPath(root: string): string {
  return join(root, MARKER_FILE);
}

/** `damaged`: something is in its place that says no id. */
export async function readMarker(root: string): Promise<Marker | 'absent' | 'damaged'> {
  try {
    const file = await open(markerPath(root), READ);
    try {
      const found = await file.stat();
      if (!found.isFile() || found.size > MOST_BYTES) return 'damaged';
      return parseMarker(await file.readFile('utf8'));
    } finally {
      await file.close();
    }
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return 'absent';
    // A link, or a socket.
    if (errno === 'ELOOP' || errno === 'ENXIO') return 'damaged';
    throw error;
  }
}

/** Whatever else it holds is for programs that know of it. */
function parseMarker(text: string): Marker | 'damaged' {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('id' in value)) return 'damaged';
    return typeof value.id === 'string' && ID.test(value.id) ? { id: value.id } : 'damaged';
  } catch {
    return 'damaged';
  }
}

/** Which file the marker is: another one may be another store's. Undefined where there is none. */
export async function markerFile(root: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(markerPath(root), { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Whether a directory has runs, as stores made by earlier versions have without a marker. */
export async function hasManifests(root: string): Promise<boolean> {
  try {
    return (await lstat(join(root, 'manifests'))).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** Whether a directory is a store at all, and not what is left where its disk is not mounted. */
export async function isStore(root: string): Promise<boolean> {
  return (await readMarker(root)) !== 'absent' || (await hasManifests(root));
}

/** What a directory store is to a catalog. A store without a marker has its path alone. */
export function identityOf(root: string, id: string | undefined): string {
  return `directory:${root}${id === undefined ? '' : `#${id}`}`;
}

/** Where a directory store with a marker is, and what that says; undefined where the identity is of no such store. */
export function markedStoreOf(identity: string): { root: string; id: string } | undefined {
  const [, root, id] = /^directory:(.*)#([0-9a-f]{32})$/s.exec(identity) ?? [];
  return root === undefined || id === undefined ? undefined : { root, id };
}

/** The identity that a store had before it got its marker; undefined where it has none. */
export function identityBeforeMarker(identity: string): string | undefined {
  const marked = markedStoreOf(identity);
  return marked && identityOf(marked.root, undefined);
}
