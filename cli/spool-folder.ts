import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultStatePath } from '../src/index.js';
import type { Session } from './session.js';

/** On a disk, and there after a restart, on every system that keeps to the Filesystem Hierarchy Standard. */
const ON_DISK = '/var/tmp';
/** Folders that the library makes in it. */
const LEFT = /^(?:restore|manifest)-\w+$/;
const LEFT_AFTER_MS = 30 * 24 * 3600 * 1000;

/**
 * Where a command that reads backups puts its temporary files. A manifest of a million files takes 100 MB, and `/tmp`
 * is often in memory; so the first of these that can be written: the state directory that the conf names, what
 * `TMPDIR` names, the usual state directory where there is one, `/var/tmp`, `/tmp`.
 */
export function spoolFolder(session: Session, statePath: string | undefined): string {
  const { env, user } = session;
  if (statePath !== undefined && makeable(statePath)) return inState(statePath);
  const named = env['TMPDIR'];
  if (named !== undefined && named !== '') return named;
  const usual = defaultStatePath({ env, user, confDir: '/' }).path;
  if (existsSync(usual) && makeable(usual)) return inState(usual);
  return isWritable(ON_DISK) ? ON_DISK : tmpdir();
}

/** Removes what commands that were killed left there. Nothing that still runs is that old. */
function removeOld(folder: string): void {
  const before = Date.now() - LEFT_AFTER_MS;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (LEFT.test(name) && statSync(path).mtimeMs < before) rmSync(path, { recursive: true, force: true });
  }
}

function inState(statePath: string): string {
  return join(statePath, 'restore');
}

function makeable(statePath: string): boolean {
  try {
    mkdirSync(inState(statePath), { recursive: true, mode: 0o700 });
    if (!isWritable(inState(statePath))) return false;
    removeOld(inState(statePath));
    return true;
  } catch {
    return false;
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
