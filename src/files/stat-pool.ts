import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { endThread, startThread } from '../threads.js';
import type { PackedPaths } from './packed-paths.js';
import { lstatPacked, StatBatch } from './stat-batch.js';

/** What a thread is asked: packed paths. It answers in order. */
export interface StatRequest {
  bytes: Uint8Array<ArrayBuffer>;
  ends: Uint32Array<ArrayBuffer>;
}

/** What a {@link StatBatch} is made of. */
export interface StatAnswer {
  words: Int32Array;
  errors: ReadonlyMap<number, string>;
}

/** Threads beside the calling one; more only get into each other's way in the kernel. */
const MOST_THREADS = 3;
/** Fewer are looked at sooner here than asked for elsewhere. */
const WORTH_ASKING = 64;
/** A thread takes 40 ms to start; so many paths seldom come alone. */
const WORTH_A_THREAD = 2048;
/** Batches that one thread has at a time: it never waits, and the calling one has its time for what comes after. */
const MOST_WAITING = 16;

/**
 * lstat in several threads. The calling thread does what the others have no room for, which at the beginning is all of
 * it.
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

  /** At once, or when another thread has done it. */
  lstat(paths: PackedPaths): StatBatch | Promise<StatBatch> {
    this.#asked += paths.count;
    const thread = paths.count < WORTH_ASKING ? undefined : this.#threadFor();
    return thread?.lstat(paths) ?? lstatPacked(paths.bytes, paths.ends);
  }

  /** Ends the threads. What was asked and not answered is done by the calling thread. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end()));
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

const startWorker = (): Worker => startThread(new URL('./stat-worker.js', import.meta.url), undefined, 2);

interface Waiting {
  paths: PackedPaths;
  resolve: (batch: StatBatch) => void;
}

class StatThread {
  readonly #worker: Worker;
  #waiting: Waiting[] = [];
  #ended = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', ({ words, errors }: StatAnswer) => {
      this.#waiting.shift()?.resolve(new StatBatch(words, errors));
      if (this.#waiting.length === 0) worker.unref();
    });
    worker.on('messageerror', () => void this.end());
    worker.on('error', () => void this.end());
    worker.on('exit', () => void this.end());
  }

  get hasRoom(): boolean {
    return !this.#ended && this.#waiting.length < MOST_WAITING;
  }

  lstat(paths: PackedPaths): Promise<StatBatch> {
    return new Promise((resolve) => {
      this.#waiting.push({ paths, resolve });
      // Copied: the caller goes on with the paths, and they are needed here if the thread dies.
      const request: StatRequest = { bytes: Uint8Array.from(paths.bytes), ends: paths.ends.slice() };
      this.#worker.ref();
      this.#worker.postMessage(request, [request.bytes.buffer, request.ends.buffer]);
    });
  }

  /** A thread is a help and never a need: what it leaves undone is done here. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    for (const { paths, resolve } of this.#waiting) resolve(lstatPacked(paths.bytes, paths.ends));
    this.#waiting = [];
    await endThread(this.#worker);
  }
}
