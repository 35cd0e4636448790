import { fsync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { release } from 'node:os';
import { promisify } from 'node:util';
import koffi from 'koffi';
import { isLocalFileSystem } from './file-system-kind.js';

const libc = koffi.load(null);
const fsyncOf = promisify(fsync);
const syncfs = libc.func('int syncfs(int fd)');

/** From this many waiting requests on, one `syncfs` is cheaper than an `fsync` of each of their files. */
const WORTH_A_SYNCFS = 3;

/** Descriptors of open files, or paths of directories, that must be on the disk. */
export type SyncTarget = number | string;

interface Waiting {
  targets: readonly SyncTarget[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Makes files durable, many requests in one round: who asks while a round is under way joins the next. With 16
 * writers of small files this is several times faster than each calling `fsync`.
 */
export class SyncRounds {
  readonly #root: FileHandle;
  readonly #bySyncfs: boolean;
  #waiting: Waiting[] = [];
  #running = false;

  private constructor(root: FileHandle, bySyncfs: boolean) {
    this.#root = root;
    this.#bySyncfs = bySyncfs;
  }

  /** `root`: a directory of the file system that all targets lie on. */
  static async open(root: string, options: { syncfs?: boolean } = {}): Promise<SyncRounds> {
    const bySyncfs = options.syncfs ?? (reportsErrors() && (await isLocalFileSystem(root)));
    return new SyncRounds(await open(root, 'r'), bySyncfs);
  }

  /** Resolves when all targets are on the disk; rejects with what their `fsync` failed with. */
  sync(targets: readonly SyncTarget[]): Promise<void> {
    const { promise, resolve, reject } = withResolvers();
    this.#waiting.push({ targets, resolve, reject });
    if (!this.#running) {
      this.#running = true;
      setImmediate(() => void this.#run());
    }
    return promise;
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const round = this.#waiting;
      this.#waiting = [];
      if (this.#bySyncfs && round.length >= WORTH_A_SYNCFS && (await this.#syncfs())) {
        for (const { resolve } of round) resolve();
      } else {
        await Promise.all(
          round.map(({ targets, resolve, reject }) => fsyncAll(targets).then(resolve, reject)),
        );
      }
    }
    this.#running = false;
  }

  /** False where it failed: then each file's own `fsync` tells which, and why. */
  #syncfs(): Promise<boolean> {
    return new Promise((resolve) => {
      syncfs.async(this.#root.fd, (error: unknown, result: unknown) => {
        resolve((error === null || error === undefined) && result === 0);
      });
    });
  }
}

async function fsyncAll(targets: readonly SyncTarget[]): Promise<void> {
  for (const target of targets) {
    if (typeof target === 'number') await fsyncOf(target);
    else await syncDirectory(target);
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Before Linux 5.8 `syncfs` succeeded although writing had failed (syncfs(2), "VERSIONS"). */
function reportsErrors(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 8);
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  return { promise, resolve, reject };
}
