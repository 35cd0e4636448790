import { join } from 'node:path';
import type { CatalogHead } from '../catalog/head.js';
import type { KnownEntries } from '../catalog/known-entries.js';
import type { StateFolder } from '../catalog/state-folder.js';
import type { Problem } from '../events.js';
import { StatPool } from '../files/stat-pool.js';
import { judgePicker } from '../sources/judge-picker.js';
import { type PickerResult, runPickers } from '../sources/pickers.js';
import type { Bits } from './bits.js';
import { Gatherer } from './gather.js';
import type { JoinInput } from './join.js';
import { LookAhead } from './look-ahead.js';
import type { ArchiveOptions } from './options.js';
import { PickTaker } from './pick-taker.js';
import { PickedPaths } from './picked-paths.js';
import type { ProblemLog } from './problem-log.js';

export interface Picked extends JoinInput {
  confirmed: Bits;
  known: KnownEntries | undefined;
  /** Which of its entries were printed, in which order (catalog/print-order.ts). */
  order: Uint32Array;
  /** How many paths get an entry, at most. */
  count: number;
  /** Paths each picker printed. */
  printed: Record<string, number>;
  /** Paths that were printed and not there. */
  missing: string[];
  /** When the first picker began, nanoseconds by the machine's clock. */
  startedNs: bigint;
}

/** What pickers are run with. */
export interface PickStart {
  options: ArchiveOptions;
  state: StateFolder;
  problems: ProblemLog;
}

/**
 * Runs the pickers and gathers what gets an entry, beginning at once: while the run's memory is read and the store
 * asked, the disks can be at work.
 */
export class Picking {
  readonly #start: PickStart;
  readonly #stop = new AbortController();
  readonly #startedNs = BigInt(Date.now()) * 1_000_000n;
  readonly #paths: PickedPaths;
  readonly #gatherer: Gatherer;
  readonly #known: KnownEntries | undefined;
  readonly #taker: PickTaker;
  readonly #results: Promise<PickerResult[]>;
  /** When its threads have ended, which nobody has to wait for before the end. */
  #closed: Promise<void> | undefined;

  constructor(start: PickStart) {
    const { state, problems } = start;
    this.#start = start;
    this.#paths = new PickedPaths(state.spoolPath);
    // Of a catalog that is not believed too: what files were like has nothing to do with what the store has.
    const last = state.peek();
    this.#known = last?.entries;
    const report = (problem: Problem): void => problems.add(problem);
    this.#gatherer = new Gatherer(this.#paths, report, this.#startedNs, last?.head.missing);
    this.#taker = new PickTaker(this.#gatherer, this.#known);
    this.#results = this.#gather();
    this.#results.catch(() => undefined); // heard of in picked()
  }

  /** All of it, judged by what the last run picked. */
  async picked(lastHead: CatalogHead | undefined): Promise<Picked> {
    const { options, problems } = this.#start;
    const { allowEmpty } = options.settings.programs;
    const printed: Record<string, number> = {};
    const results = await this.#results;
    for (const problem of this.#gatherer.failures()) problems.add(problem);
    this.#gatherer.forget();
    for (const result of results) {
      for (const problem of result.problems) problems.add(problem);
      printed[result.name] = result.printed;
      const allowed = allowEmpty.includes(result.name);
      const verdict = judgePicker(result.printed, lastHead?.pickers[result.name], allowed, result.name);
      if (verdict !== undefined) problems.add(verdict);
    }
    const { confirmed, order } = this.#taker;
    return {
      order,
      known: this.#known,
      confirmed,
      others: this.#paths.batches(),
      count: confirmed.count + this.#paths.count,
      printed,
      missing: this.#gatherer.missing,
      startedNs: this.#startedNs,
    };
  }

  /** Ends all of it, and stops the picker that is running, if one is. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#results.catch(() => undefined);
    await this.#closed;
    this.#known?.close();
  }

  async #gather(): Promise<PickerResult[]> {
    const { settings, env, uid, signal, onEvent } = this.#start.options;
    const { timeout } = settings.programs;
    const pool = new StatPool();
    const ahead = new LookAhead(pool, this.#taker);
    try {
      const results = await runPickers({
        folder: join(settings.confDir, 'pickers.d'),
        uid,
        env,
        ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
        signal: AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]),
        onPaths: (picked, picker) => ahead.add(picked, picker),
        onLog: (picker, line) => onEvent?.({ type: 'log', level: 'info', message: line, source: picker }),
      });
      await ahead.end();
      this.#taker.end();
      return results;
    } finally {
      this.#closed = pool.close();
    }
  }
}
