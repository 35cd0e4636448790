import type { Worker } from 'node:worker_threads';
import { endThread, startThread } from '../threads.js';
import type { BlockReader, BlockTask } from './block-task.js';
import type { BlockMemory, FromReader, ReaderSettings, ToReader } from './messages.js';
import type { PoolJob } from './pool-job.js';

export interface ReaderListener {
  message(reader: PoolReader, message: FromReader): void;
  /** The reader is gone; what it had under way will not be answered. */
  crashed(reader: PoolReader, reason: string): void;
}

/** Makes the thread that does the reading. The default starts `worker.js` beside this file. */
export type StartWorker = (settings: ReaderSettings) => Worker;

export const startWorker: StartWorker = (settings) =>
  startThread(new URL('./worker.js', import.meta.url), settings, 2);

/** Jobs that one reader may have at a time; enough that it never waits for the next. */
const MOST_JOBS = 128;
const MOST_BYTES = 2 * 1024 * 1024;

/** One reader, in a thread of its own or in the calling one, and what it has under way. */
export class PoolReader implements BlockReader {
  readonly jobs = new Map<number, PoolJob>();
  /** The block it hashes or encodes, besides. */
  private work: BlockTask | undefined;
  private readonly post: (message: ToReader) => void;
  private readonly stop: () => Promise<unknown>;
  private readonly holdProcess: (hold: boolean) => void;
  private bytes = 0;
  private longs = 0;
  private alone = false;

  constructor(settings: ReaderSettings, start: StartWorker | undefined, listener: ReaderListener) {
    if (start) {
      const worker = start(settings);
      let gone = false;
      const crashed = (reason: string) => {
        if (!gone) listener.crashed(this, reason);
        gone = true;
      };
      worker.on('message', (message: FromReader) => listener.message(this, message));
      worker.on('messageerror', (error) => crashed(error.message));
      worker.on('error', (error) => crashed(error.message));
      worker.on('exit', (code) => crashed(`it ended with code ${code}`));
      this.post = (message) => worker.postMessage(message, []);
      this.holdProcess = (hold) => (hold ? worker.ref() : worker.unref());
      this.stop = () => {
        gone = true;
        return endThread(worker);
      };
      return;
    }
    let stopped = false;
    // Loaded only here: where threads do the work, they load it.
    const runner = import('./job-runner.js').then(
      ({ JobRunner }) =>
        new JobRunner(settings, (message) => {
          if (!stopped) listener.message(this, message);
        }),
    );
    this.post = (message) =>
      void setImmediate(() => {
        void runner.then((loaded) => {
          if (!stopped) loaded.receive(message);
        });
      });
    this.holdProcess = () => undefined;
    this.stop = () => {
      stopped = true;
      return Promise.resolve();
    };
  }

  /** For comparing: what it has to do, in bytes; a long file weighs more than any number of small ones. */
  get load(): number {
    return this.longs * 2 ** 40 + this.bytes;
  }

  get readsLong(): boolean {
    return this.longs > 0;
  }

  get worksOnBlock(): boolean {
    return this.work !== undefined;
  }

  /** Whether it takes this job on top of what it has. */
  accepts(job: PoolJob): boolean {
    if (this.jobs.size === 0) return true;
    if (this.alone || job.alone || this.jobs.size >= MOST_JOBS) return false;
    return job.long ? this.longs === 0 : this.bytes < MOST_BYTES;
  }

  take(jobs: PoolJob[]): void {
    if (this.isIdle) this.holdProcess(true);
    for (const job of jobs) {
      this.jobs.set(job.id, job);
      this.bytes += job.long ? 0 : job.weight;
      this.longs += job.long ? 1 : 0;
      this.alone = job.alone;
    }
    this.post({
      kind: 'jobs',
      jobs: jobs.map((job) => ({ id: job.id, path: job.path, expectedInode: job.expectedInode })),
    });
  }

  /** The reader has said its last word about this job. */
  finished(job: PoolJob): void {
    if (!this.jobs.delete(job.id)) return;
    this.bytes -= job.long ? 0 : job.weight;
    this.longs -= job.long ? 1 : 0;
    if (this.jobs.size > 0) return;
    this.alone = false;
    if (this.isIdle) this.holdProcess(false);
  }

  private get isIdle(): boolean {
    return this.jobs.size === 0 && this.work === undefined;
  }

  lend(job: PoolJob, memory: BlockMemory): void {
    this.post({ kind: 'memory', id: job.id, memory });
  }

  workOn(task: BlockTask): void {
    if (this.isIdle) this.holdProcess(true);
    this.work = task;
    const bytes = task.memory.bytes.subarray(0, task.size);
    if (task.sha === undefined) this.post({ kind: 'hash', bytes });
    else this.post({ kind: 'encode', bytes, zeros: task.zeros });
  }

  endWork(): BlockTask | undefined {
    const { work } = this;
    this.work = undefined;
    if (work !== undefined && this.isIdle) this.holdProcess(false);
    return work;
  }

  drop(job: PoolJob): void {
    if (this.jobs.has(job.id)) this.post({ kind: 'drop', id: job.id });
  }

  terminate(): Promise<unknown> {
    return this.stop();
  }
}
