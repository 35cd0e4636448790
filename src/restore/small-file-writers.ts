import type { Worker } from 'node:worker_threads';
import { SysbackupError } from '../errors.js';
import type { MetadataFailure } from '../files/apply.js';
import { SafeDir } from '../files/safe-dir.js';
import { endThread, startThread } from '../threads.js';
import type { LentBytes } from './section-memory.js';
import { fieldsOf, packed, type SmallFilesMessage } from './small-files-message.js';
import type { SmallFile, SmallFilesDone, WriteFailure, WrittenFile } from './small-files.js';
import { refused } from './write-failures.js';

/** What one message to a thread is made of; the bytes are those of the contents. */
const BATCH_FILES = 256;
const BATCH_BYTES = 1024 * 1024;
/** Batches that a thread has at a time: enough that it never waits for the next. */
const BATCHES_AHEAD = 2;

/** Makes a thread. Lets a test have one that crashes. */
export type StartWriter = () => Worker;

/** The smallest nursery, since what was unpacked is freed only when that has been filled and looked through. */
const startWriter = (localRoot: string | undefined): Worker =>
  startThread(new URL('./writer-thread.js', import.meta.url), { localRoot }, 1);

export interface SmallFileWritersOptions {
  /** The most there may be. */
  threads: number;
  /** Of the store (`ObjectStore.localRoot`), for files that a thread reads there. */
  localRoot?: string | undefined;
  start?: StartWriter | undefined;
  /** Called once, when a thread has crashed. */
  onCrash?: ((reason: string) => void) | undefined;
}

interface Job {
  file: SmallFile;
  stored: LentBytes;
  resolve: (result: WrittenFile | 'undone') => void;
  reject: (error: unknown) => void;
}

interface Writer {
  worker: Worker;
  batches: Map<number, Job[]>;
}

const NOTHING_TO_SAY: WrittenFile = { inodeId: undefined, notSet: [] as MetadataFailure[] };

/**
 * Unpacks, checks and writes small files in threads, many with one message. Threads are started when there is work for
 * them. After one has crashed no other is started, and what they have not done is left to the caller.
 */
export class SmallFileWriters {
  /** How often threads have read from the store. */
  requests = 0;
  readonly #threads: number;
  readonly #start: StartWriter;
  readonly #onCrash: SmallFileWritersOptions['onCrash'];
  readonly #writers: Writer[] = [];
  #queue: Job[] = [];
  #queuedBytes = 0;
  #nextId = 1;
  #dispatching: NodeJS.Immediate | undefined;
  #isBroken = false;

  constructor({
    threads,
    localRoot,
    start = () => startWriter(localRoot),
    onCrash,
  }: SmallFileWritersOptions) {
    this.#threads = threads;
    this.#start = start;
    this.#onCrash = onCrash;
  }

  /**
   * Writes one file from its stored bytes, or from its parts, and releases the bytes. Resolves when it is in its place,
   * or with `undone` where its thread has crashed or could not read the parts: nothing of it is left then. Rejects as
   * `writeFile` does.
   */
  write(file: SmallFile, stored: LentBytes): Promise<WrittenFile | 'undone'> {
    if (this.#isBroken) {
      stored.release();
      return Promise.resolve('undone');
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ file, stored, resolve, reject });
      this.#queuedBytes += file.size;
      if (this.#queue.length >= BATCH_FILES || this.#queuedBytes >= BATCH_BYTES) this.#dispatch();
      else this.#dispatchSoon();
    });
  }

  /** Ends the threads. To be called when all writes have ended. */
  async close(): Promise<void> {
    clearImmediate(this.#dispatching);
    await Promise.all(this.#writers.splice(0).map(({ worker }) => endThread(worker)));
  }

  /** Not at once: calls of one turn of the event loop make one message. */
  #dispatchSoon(): void {
    this.#dispatching ??= setImmediate(() => {
      this.#dispatching = undefined;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const writer = this.#writer();
      if (!writer) return;
      const batch = this.#takeBatch();
      const id = this.#nextId++;
      if (writer.batches.size === 0) writer.worker.ref();
      writer.batches.set(id, batch);
      const files = batch.map(({ file }) => file);
      const stored = batch.map(({ stored: { bytes } }) => bytes);
      const message = { id, fields: fieldsOf(files), ...packed(stored) };
      writer.worker.postMessage(message satisfies SmallFilesMessage, [message.bytes.buffer]);
    }
  }

  /** The one with the least to do; undefined where all have enough. */
  #writer(): Writer | undefined {
    let best: Writer | undefined;
    for (const writer of this.#writers) {
      if (!best || writer.batches.size < best.batches.size) best = writer;
    }
    if (best?.batches.size === 0) return best;
    if (this.#writers.length < this.#threads && !this.#isBroken) return this.#started();
    return best && best.batches.size < BATCHES_AHEAD ? best : undefined;
  }

  #started(): Writer {
    const worker = this.#start();
    const writer: Writer = { worker, batches: new Map() };
    const crashed = (reason: string): void => this.#crashed(writer, reason);
    worker.on('message', (done: SmallFilesDone) => this.#received(writer, done));
    worker.on('messageerror', (error) => crashed(error.message));
    worker.on('error', (error) => crashed(error.message));
    worker.on('exit', (code) => crashed(`it ended with code ${code}`));
    this.#writers.push(writer);
    return writer;
  }

  #takeBatch(): Job[] {
    let bytes = 0;
    let count = 0;
    let kind: object | string | undefined;
    for (const { file } of this.#queue) {
      if (count >= BATCH_FILES || (count > 0 && bytes + file.size > BATCH_BYTES)) break;
      if (count > 0 && kindOf(file) !== kind) break;
      kind = kindOf(file);
      bytes += file.size;
      count += 1;
    }
    const batch = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queuedBytes -= bytes;
    const isGzip = ({ file }: Job): boolean => (file.parts ? file.parts[0]?.enc : file.enc) === 'gzip';
    return [...batch.filter(isGzip), ...batch.filter((job) => !isGzip(job))];
  }

  #received(writer: Writer, { id, reads, results }: SmallFilesDone): void {
    this.requests += reads;
    const batch = writer.batches.get(id);
    writer.batches.delete(id);
    // First, so that it has work again while the others hear of theirs.
    this.#dispatch();
    if (writer.batches.size === 0) writer.worker.unref();
    for (const [index, job] of (batch ?? []).entries()) {
      job.stored.release();
      const result = results[index] ?? NOTHING_TO_SAY;
      if (!('is' in result)) job.resolve(result);
      else if (result.is === 'unread') job.resolve('undone');
      else job.reject(errorOf(result));
    }
  }

  #crashed(writer: Writer, reason: string): void {
    const at = this.#writers.indexOf(writer);
    if (at < 0) return;
    this.#writers.splice(at, 1);
    if (!this.#isBroken) this.#onCrash?.(reason);
    this.#isBroken = true;
    for (const { stored, resolve } of this.#queue.splice(0)) {
      stored.release();
      resolve('undone');
    }
    this.#queuedBytes = 0;
    void this.#leaveUndone(writer);
  }

  /** When the thread is sure to write no more. */
  async #leaveUndone({ worker, batches }: Writer): Promise<void> {
    await endThread(worker).catch(() => undefined);
    for (const { file, stored, resolve } of [...batches.values()].flat()) {
      SafeDir.ofDescriptor(file.folder).remove(file.temporary);
      stored.release();
      resolve('undone');
    }
  }
}

/** What may be in one batch: files whose bytes come along, or of one part to be read; what has several is alone. */
function kindOf(file: SmallFile): object | string {
  const { parts } = file;
  if (!parts) return 'bytes';
  return parts.length > 1 || (parts[0]?.times ?? 1) > 1 ? file : 'parts';
}

function errorOf(failure: Exclude<WriteFailure, { is: 'unread' }>): Error {
  if (failure.is === 'damaged') return new SysbackupError('DAMAGED', failure.message);
  if (failure.is === 'refused') return refused(failure.errno, failure.message);
  return new Error(failure.message);
}
