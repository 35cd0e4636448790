import type { ReaderSettings, ReadJob, ToReader } from './messages.js';
import { ReadFailure, readFailureOf } from './read-failure.js';
import { type ReadStep, readFile } from './read-file.js';
import { RecordBatch, type Send } from './record-batch.js';
import { Scratch } from './scratch.js';
import type { FileReading } from './types.js';

/** Blocks of one long file that are on their way before the next one is read. */
const WINDOW = 2;

interface Task {
  job: ReadJob;
  steps: Generator<ReadStep, FileReading, void>;
  /** Blocks handed out and not reported as done. */
  pending: number;
  /** Waits for one of them. */
  parked: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Does the jobs of one thread. A job that has to wait (for a lock, for its blocks to be dealt with) is set aside and
 * the next one goes on; between two blocks of a long file other jobs get their turn.
 */
export class JobRunner {
  private readonly settings: ReaderSettings;
  private readonly scratch = new Scratch();
  private readonly batch: RecordBatch;
  private readonly tasks = new Map<number, Task>();

  constructor(settings: ReaderSettings, send: Send) {
    this.settings = settings;
    this.batch = new RecordBatch(send);
  }

  receive(message: ToReader): void {
    if (message.kind === 'jobs') for (const job of message.jobs) this.begin(job);
    else {
      const task = this.tasks.get(message.id);
      if (!task) return;
      if (message.kind === 'done') this.blockDone(task);
      else this.drop(task);
    }
    this.batch.flush();
  }

  private begin(job: ReadJob): void {
    const steps = readFile(job.path, {
      ...this.settings,
      expectedInode: job.expectedInode,
      scratch: this.scratch,
    });
    this.advance({ job, steps, pending: 0, parked: false, timer: undefined });
  }

  /** Goes on with one job until it ends or has to be set aside. */
  private advance(task: Task): void {
    const { id } = task.job;
    try {
      for (;;) {
        const step = task.steps.next();
        if (step.done) {
          this.batch.end(id, step.value);
          break;
        }
        if (this.take(task, step.value)) {
          this.tasks.set(id, task);
          return;
        }
      }
    } catch (error) {
      this.fail(task.job, error);
    }
    this.tasks.delete(id);
  }

  /** True where the job is set aside after this step. */
  private take(task: Task, step: ReadStep): boolean {
    const { id } = task.job;
    if (step.kind === 'restart') {
      this.batch.restart(id);
      return false;
    }
    if (step.kind === 'wait') {
      this.resumeAfter(task, step.ms);
      return true;
    }
    this.batch.block(id, step.block, step.long);
    if (!step.long) return false;
    this.batch.flush();
    task.pending++;
    task.parked = task.pending >= WINDOW;
    if (!task.parked) this.resumeAfter(task, 0);
    return true;
  }

  private resumeAfter(task: Task, ms: number): void {
    task.timer = setTimeout(() => {
      task.timer = undefined;
      this.advance(task);
      this.batch.flush();
    }, ms);
  }

  private blockDone(task: Task): void {
    task.pending--;
    if (!task.parked) return;
    task.parked = false;
    this.advance(task);
  }

  /** The pool counts on hearing of every job's end. */
  private drop(task: Task): void {
    clearTimeout(task.timer);
    this.tasks.delete(task.job.id);
    try {
      task.steps.throw(new ReadFailure(task.job.path, 'DROPPED', 'nobody wants it any more'));
    } catch (error) {
      this.fail(task.job, error);
    }
  }

  private fail(job: ReadJob, error: unknown): void {
    const { code, reason } = readFailureOf(error, job.path);
    this.batch.failure(job.id, code, reason);
  }
}
