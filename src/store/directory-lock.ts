import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import koffi from 'koffi';
import { errnoOf } from '../errors.js';
import { StoreError } from './store-error.js';

const libc = koffi.load(null);
const flock = libc.func('int flock(int fd, int operation)');
const LOCK_EX_NB = 2 | 4;

const WAIT_MS = 30_000;
const EWOULDBLOCK = koffi.os.errno['EAGAIN'];

/** Work under way in this process, by path: `flock` would let it in twice through one process's patience. */
const queues = new Map<string, Promise<unknown>>();

/**
 * Does work while holding the advisory lock of a file that the work may replace by another (rename). Nobody else,
 * in this process or on another machine, works on the same path meanwhile. Over NFS, `flock` is a lock on the
 * server (Linux 2.6.12 and newer). `gone`, without working, where there is no such file, as somebody removed it.
 */
export async function whileLocked<T>(path: string, work: () => Promise<T>): Promise<T | 'gone'> {
  const before = queues.get(path) ?? Promise.resolve();
  const turn = before.then(() => lockAndDo(path, work));
  const settled = turn.then(
    () => {},
    () => {},
  );
  queues.set(path, settled);
  try {
    return await turn;
  } finally {
    if (queues.get(path) === settled) queues.delete(path);
  }
}

async function lockAndDo<T>(path: string, work: () => Promise<T>): Promise<T | 'gone'> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const file = await openForLock(path);
    if (file === undefined) return 'gone';
    try {
      await waitForLock(file, path, deadline);
      // Who held it before may have put another file in this one's place: then that one's lock counts.
      if (await isStillAt(file, path)) return await work();
    } finally {
      await file.close();
    }
  }
}

async function openForLock(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    // NFS wants a file open for writing, local file systems do not mind.
    if (errnoOf(error) !== 'EACCES') throw error;
    return openForReading(path);
  }
}

async function openForReading(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function waitForLock(file: FileHandle, path: string, deadline: number): Promise<void> {
  for (let delay = 1; flock(file.fd, LOCK_EX_NB) !== 0; delay = Math.min(50, delay * 2)) {
    // No locks on this file system: the rename below still never leaves a torn file.
    if (koffi.errno() !== EWOULDBLOCK) return;
    if (performance.now() > deadline)
      throw new StoreError('STORE_FAILED', `${path} has been locked by another process for too long`, {
        retryable: true,
      });
    await pause(delay);
  }
}

/** Opens the path anew instead of a `stat`: over NFS only opening asks the server. */
async function isStillAt(file: FileHandle, path: string): Promise<boolean> {
  const current = await openForReading(path);
  if (current === undefined) return false;
  try {
    const [held, found] = await Promise.all([file.stat({ bigint: true }), current.stat({ bigint: true })]);
    return held.ino === found.ino && held.dev === found.dev;
  } finally {
    await current.close();
  }
}
