import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { errnoOf } from '../errors.js';
import { MARKER_FILE } from './directory-layout.js';
import { whileLocked } from './directory-lock.js';
import { markerPath, readMarker } from './directory-marker.js';
import { NO_HARD_LINKS } from './directory-write.js';
import { syncDirectory } from './sync-rounds.js';

/** Where there are no hard links, another machine may be writing a marker in its place: so often it is waited for. */
const WAITS = 20;
const WAIT_MS = 25;

export function newStoreId(): string {
  return randomBytes(16).toString('hex');
}

export interface MakeMarkerOptions {
  /** Whose the file is. Default: this process's. */
  owner?: { uid: number; gid: number } | undefined;
  /** link(2), for tests of file systems that have none. */
  linkFile?: (existing: string, made: string) => Promise<void>;
}

/**
 * Gives a directory that is there the marker with this id, unless it has one. Resolves with the id that it has then: of
 * several machines that do so at one moment one wins, and the others read its marker.
 */
export async function makeMarker(root: string, id: string, options: MakeMarkerOptions = {}): Promise<string> {
  for (let waited = 0; ; waited++) {
    const found = await readMarker(root);
    if (typeof found === 'object') return found.id;
    if (found === 'absent') {
      if (await claimMarker(root, id, options)) return id;
    } else if (waited < WAITS) await pause(WAIT_MS);
    else await replaceDamaged(root, id, options);
  }
}

/** False where somebody was faster. */
async function claimMarker(root: string, id: string, options: MakeMarkerOptions): Promise<boolean> {
  const { linkFile = link } = options;
  return withTemporary(root, id, options, async (temporary) => {
    try {
      await linkFile(temporary, markerPath(root));
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      if (!NO_HARD_LINKS.has(errnoOf(error) ?? '')) throw error;
    }
    try {
      await writeMarker(markerPath(root), id, options);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
  });
}

async function replaceDamaged(root: string, id: string, options: MakeMarkerOptions): Promise<void> {
  await whileLocked(markerPath(root), () =>
    withTemporary(root, id, options, async (temporary) => {
      if ((await readMarker(root)) === 'damaged') await rename(temporary, markerPath(root));
    }),
  );
}

/** Does work with a whole marker under a temporary name, and makes what was done with it durable. */
async function withTemporary<T>(
  root: string,
  id: string,
  options: MakeMarkerOptions,
  work: (temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = join(root, `.${MARKER_FILE}-${randomBytes(8).toString('hex')}.tmp`);
  try {
    await writeMarker(temporary, id, options);
    const result = await work(temporary);
    await syncDirectory(root);
    return result;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Everybody who gets into the directory may read it. */
async function writeMarker(path: string, id: string, { owner }: MakeMarkerOptions): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ id })}\n`);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
}
