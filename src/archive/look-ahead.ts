import { setImmediate as turn } from 'node:timers/promises';
import type { PackedPaths } from '../files/packed-paths.js';
import type { StatBatch } from '../files/stat-batch.js';
import type { StatPool } from '../files/stat-pool.js';

/** Takes paths with what lstat said of them. Both are freed when it returns. */
export interface StatTaker {
  pickAll(paths: PackedPaths, picker: string, stats: StatBatch): void;
}

interface Batch {
  paths: PackedPaths;
  picker: string;
  /** Undefined until it is there. */
  stats: StatBatch | undefined;
}

/** Batches that may wait behind one that another thread still works on, such as on a slow network file system. */
const MOST_WAITING = 64;

/** Has picked paths looked at by several threads, and hands them on in the order they came. */
export class LookAhead {
  readonly #pool: StatPool;
  readonly #taker: StatTaker;
  #batches: Batch[] = [];
  #failure: { error: unknown } | undefined;
  #moved: (() => void) | undefined;

  constructor(pool: StatPool, taker: StatTaker) {
    this.#pool = pool;
    this.#taker = taker;
  }

  /** Await it before giving more. The paths are not to be used any more. Throws what the taker threw. */
  add(paths: PackedPaths, picker: string): void | Promise<void> {
    this.#throwFailure();
    this.#look({ paths, picker, stats: undefined });
    if (this.#batches.length > MOST_WAITING) return this.#fewerThan(MOST_WAITING);
    // Answers of other threads come between turns of the event loop only.
    if (this.#batches.length > 0) return turn();
  }

  /** Resolves when all have been handed on. Throws what the taker threw. */
  end(): Promise<void> {
    return this.#fewerThan(1);
  }

  #look(batch: Batch): void {
    const stats = this.#pool.lstat(batch.paths);
    this.#batches.push(batch);
    if (!(stats instanceof Promise)) {
      batch.stats = stats;
      this.#handOn();
      return;
    }
    void stats.then((known) => {
      batch.stats = known;
      this.#handOn();
    });
  }

  async #fewerThan(count: number): Promise<void> {
    while (this.#batches.length >= count && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#moved = resolve;
      });
    }
    this.#throwFailure();
  }

  #handOn(): void {
    try {
      for (let first = this.#batches[0]; first?.stats !== undefined; first = this.#batches[0]) {
        this.#batches.shift();
        const { paths, stats } = first;
        this.#taker.pickAll(paths, first.picker, stats);
        paths.release();
        stats.release();
      }
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#moved?.();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
