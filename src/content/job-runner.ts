import { hash } from 'node:crypto';
import { errnoOf, messageOf } from '../errors.js';
import { encode } from './encode.js';
import type { BlockMemory, ReaderSettings, ReadJob, ToReader } from './messages.js';
import { ReadFailure, readFailureOf } from './read-failure.js';
import { type ReadStep, readFile } from './read-file.js';
import { bufferOf, ownBytes, RecordBatch, type Send } from './record-batch.js';
import { Scratch } from './scratch.js';
import type { FileReading } from './types.js';

/** Blocks of one long file for which memory is here before it is needed: reading shall not wait for an answer. */
const AHEAD = 2;

interface Task {
  job: ReadJob;
  steps: Generator<ReadStep, FileReading, Uint8Array | undefined>;
  /** For blocks to come; undefined while none was asked for. */
  memory: BlockMemory[] | undefined;
  /** Waits for memory. */
  parked: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Does the jobs of one thread. A job that has to wait (for a lock, for memory for its next block) is set aside and
 * the next one goes on; between two blocks of a long file other jobs get their turn.
 */
export class JobRunner {
  private readonly settings: ReaderSettings;
  private readonly scratch = new Scratch();
  private readonly send: Send;
  private readonly batch: RecordBatch;
  private readonly tasks = new Map<number, Task>();

  constructor(settings: ReaderSettings, send: Send) {
    this.settings = settings;
    this.send = send;
    this.batch = new RecordBatch(send);
  }

  receive(message: ToReader): void {
    switch (message.kind) {
      case 'jobs':
        for (const job of message.jobs) this.begin(job);
        break;
      case 'memory':
        this.lend(message.id, message.memory);
        break;
      case 'drop':
        this.drop(message.id);
        break;
      default:
        this.workOn(message);
    }
    this.batch.flush();
  }

  private begin(job: ReadJob): void {
    const steps = readFile(job.path, {
      ...this.settings,
      expectedInode: job.expectedInode,
      scratch: this.scratch,
    });
    this.advance({ job, steps, memory: undefined, parked: false, timer: undefined });
  }

  /** Goes on with one job until it ends or has to be set aside. */
  private advance(task: Task): void {
    const { id } = task.job;
    try {
      for (;;) {
        const step = task.steps.next(task.memory?.[0]?.bytes);
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
    switch (step.kind) {
      case 'block':
        this.batch.block(id, step.block);
        return false;
      case 'piece':
        this.batch.piece(id, task.memory?.shift()?.slot ?? 0, step.size, step.sha);
        this.batch.flush();
        return false;
      case 'restart':
        this.batch.restart(id);
        return false;
      case 'wait':
        this.resumeAfter(task, step.ms);
        return true;
      case 'memory':
        if (task.memory === undefined) this.batch.memory(id, AHEAD);
        task.memory ??= [];
        task.parked = task.memory.length === 0;
        if (!task.parked) setImmediate(() => this.resume(id));
        return true;
    }
  }

  private resumeAfter(task: Task, ms: number): void {
    task.timer = setTimeout(() => {
      task.timer = undefined;
      this.advance(task);
      this.batch.flush();
    }, ms);
  }

  /** Unless it was dropped meanwhile. */
  private resume(id: number): void {
    const task = this.tasks.get(id);
    if (!task) return;
    this.advance(task);
    this.batch.flush();
  }

  private lend(id: number, memory: BlockMemory): void {
    const task = this.tasks.get(id);
    if (!task) return;
    (task.memory ??= []).push(memory);
    if (!task.parked) return;
    task.parked = false;
    this.advance(task);
  }

  /** The pool counts on hearing of every job's end. */
  private drop(id: number): void {
    const task = this.tasks.get(id);
    if (!task) return;
    clearTimeout(task.timer);
    this.tasks.delete(id);
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

  /** One block that this thread or another has read. */
  private workOn(message: ToReader & { kind: 'hash' | 'encode' }): void {
    const { bytes } = message;
    try {
      if (message.kind === 'hash') {
        this.send({ kind: 'hashed', sha: hash('sha256', bytes, 'buffer') }, []);
        return;
      }
      if (message.zeros) bytes.fill(0);
      const stored = encode(bytes, this.settings);
      const own = ownBytes(stored);
      this.send({ kind: 'encoded', stored: { ...stored, bytes: own } }, [bufferOf(own)]);
    } catch (error) {
      this.send({ kind: 'block-failed', code: errnoOf(error) ?? 'UNEXPECTED', reason: messageOf(error) }, []);
    }
  }
}
