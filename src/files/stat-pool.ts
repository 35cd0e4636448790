import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { BytePath } from './byte-path.js';
import { lstatAll, packPaths, type StatBatch } from './stat-batch.js';

/** What a thread is asked: paths as `packPaths` gives them. It answers with a {@link StatBatch}, in order. */
export interface StatRequest {
  paths: Uint8Array;
  count: number;
}

/** Threads beside the calling one; more only get into each other's way in the kernel. */
const MOST_THREADS = 3;
/** A thread takes 25 ms to start: as long as so many paths. */
const WORTH_A_THREAD = 8192;
/** Batches that one thread has at a time: one to do and the next, so that it never waits. */
const MOST_WAITING = 1;

/**
 * lstat in several threads. The calling thread does a share too: whatever the others have no room for, which at the
 * beginning is all of it.
 */
export class StatPool {
  readonly #mostThreads: number;
  readonly #start: () => Worker;
  readonly #threads: StatThread[] = [];
  #asked = 0;

  /**
   * @param threads beside the calling one; default: one less than the machine can run at once, three at the most
   * @param start for tests: what a thread is
   */
  constructor(
    threads = Math.min(MOST_THREADS, availableParallelism() - 1),
    start: () => Worker = startWorker,
  ) {
    this.#mostThreads = threads;
    this.#start = start;
  }

  /** Of paths without NUL. At once, or when another thread has done it. */
  lstat(paths: readonly BytePath[]): StatBatch | Promise<StatBatch> {
    this.#asked += paths.length;
    return this.#threadFor()?.lstat(paths) ?? lstatAll(paths);
  }

  /** Ends the threads. What was asked and not answered is done by the calling thread. */
  close(): void {
    for (const thread of this.#threads) thread.end();
    this.#threads.length = 0;
  }

  #threadFor(): StatThread | undefined {
    const free = this.#threads.find((thread) => thread.hasRoom);
    if (free !== undefined || this.#asked < WORTH_A_THREAD * (this.#threads.length + 1)) return free;
    if (this.#threads.length >= this.#mostThreads) return undefined;
    const thread = new StatThread(this.#start());
    this.#threads.push(thread);
    return thread;
  }
}

const startWorker = (): Worker =>
  new Worker(new URL('./stat-worker.js', import.meta.url), {
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });

interface Waiting {
  paths: readonly BytePath[];
  resolve: (batch: StatBatch) => void;
}

class StatThread {
  readonly #worker: Worker;
  #waiting: Waiting[] = [];
  #ended = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (batch: StatBatch) => {
      this.#waiting.shift()?.resolve(batch);
      if (this.#waiting.length === 0) worker.unref();
    });
    worker.on('messageerror', () => this.end());
    worker.on('error', () => this.end());
    worker.on('exit', () => this.end());
  }

  get hasRoom(): boolean {
    return !this.#ended && this.#waiting.length < MOST_WAITING;
  }

  lstat(paths: readonly BytePath[]): Promise<StatBatch> {
    return new Promise((resolve) => {
      this.#waiting.push({ paths, resolve });
      const packed = packPaths(paths);
      const request: StatRequest = { paths: packed, count: paths.length };
      this.#worker.ref();
      this.#worker.postMessage(request, [packed.buffer as ArrayBuffer]);
    });
  }

  /** A thread is a help and never a need: what it leaves undone is done here. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    void this.#worker.terminate();
    for (const { paths, resolve } of this.#waiting) resolve(lstatAll(paths));
    this.#waiting = [];
  }
}
