import { createHash } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { identityOf, markedStoreOf } from '../store/directory-marker.js';
import { StateFolder } from './state-folder.js';

const FOLDER = 'stores';

/** What this machine knows of the directory stores that were at one path. */
export interface KnownStores {
  /** Ids of those it has stored to there: several, where disks take turns. */
  ids: ReadonlySet<string>;
  /** Backup names of which there is a catalog or journal of a store without a marker at that path. */
  before: readonly string[];
}

/** @param root the real path of a directory store, or of what may become one. Throws SYSTEM. */
export function knownStores(statePath: string, root: string): KnownStores {
  try {
    const ids = namesIn(join(statePath, FOLDER)).flatMap((name) => {
      const [id = '', mark] = name.split('-');
      return mark === markOf(root) && /^[0-9a-f]{32}$/.test(id) ? [id] : [];
    });
    const identity = identityOf(root, undefined);
    const before = namesIn(statePath).flatMap((name) => {
      const backupName = StateFolder.backupNameOf(name, identity);
      return backupName !== undefined && StateFolder.isUsed(join(statePath, name)) ? [backupName] : [];
    });
    return { ids: new Set(ids), before };
  } catch (error) {
    throw unusable(statePath, error);
  }
}

/**
 * From now on this machine has stored to that store: one file, whose name says it all. It belongs to whom the state
 * directory does, also where root makes it. Throws SYSTEM.
 */
export function rememberStore(statePath: string, root: string, id: string): void {
  const path = placeOf(statePath, root, id);
  if (existsSync(path)) return;
  try {
    mkdirSync(statePath, { recursive: true, mode: 0o700 });
    const folder = join(statePath, FOLDER);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    giveTo(folder, statePath);
    writeFileSync(path, `${JSON.stringify({ path: root, id })}\n`, { mode: 0o600, flush: true });
    giveTo(path, statePath);
    const fd = openSync(folder, 'r');
    fsyncSync(fd);
    closeSync(fd);
  } catch (error) {
    throw unusable(statePath, error);
  }
}

/** The same by the store's identity. Nothing, where it is no directory with a marker. */
export function rememberIdentity(statePath: string, identity: string): void {
  const marked = markedStoreOf(identity);
  if (marked !== undefined) rememberStore(statePath, marked.root, marked.id);
}

/** Nothing came of it. */
export function forgetStore(statePath: string, root: string, id: string): void {
  rmSync(placeOf(statePath, root, id), { force: true });
}

/**
 * Makes a path belong to whom another one does, where this process may. Not asked for where it is so: the filter of system
 * calls that the service's unit has refuses that too.
 */
function giveTo(path: string, other: string): void {
  const [now, wanted] = [statSync(path), statSync(other)];
  if (now.uid === wanted.uid && now.gid === wanted.gid) return;
  try {
    chownSync(path, wanted.uid, wanted.gid);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
  }
}

function unusable(statePath: string, cause: unknown): SysbackupError {
  return new SysbackupError('SYSTEM', `cannot use the state directory ${statePath}: ${messageOf(cause)}`, {
    hint: 'Set [state] path in the conf to a folder that this user can write.',
    cause,
  });
}

function placeOf(statePath: string, root: string, id: string): string {
  return join(statePath, FOLDER, `${id}-${markOf(root)}`);
}

function markOf(root: string): string {
  return createHash('sha256').update(root).digest('hex').slice(0, 12);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
