import { availableParallelism } from 'node:os';
import { SysbackupError } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import type { FileStat } from '../files/stat.js';
import type { Compression } from './encode.js';
import { crashFailure, LongFiles } from './long-files.js';
import type { BlockRecord, FromReader, JobRecords, ReaderSettings } from './messages.js';
import { PoolJob } from './pool-job.js';
import { PoolReader, type StartWorker, startWorker } from './pool-reader.js';
import { ReadFailure } from './read-failure.js';
import { blockOf, readingOf } from './record-batch.js';
import { OwnMemory } from '../own-memory.js';
import { releaseMemory } from '../release-memory.js';
import type { FileReading, ReadHandlers } from './types.js';
import { requireZstd } from './zstd.js';

export interface ContentPoolOptions extends Compression {
  /** Threads that read, hash and encode. Default: what the machine has. 0: the calling thread does it. */
  workers?: number;
  /** Bytes; a longer file comes as several blocks. */
  blockSize: number;
  /** How long to wait for a file's advisory lock, in milliseconds; 0: not at all. */
  lockTimeoutMs: number;
  /** Bytes; a smaller file's `stored` has no MD5, since nobody asks for it. Default 0: all have. */
  md5From?: number;
  /** Ends all readings with ABORTED, and the pool. */
  signal?: AbortSignal | undefined;
  /** What a thread is started with; default: this room's worker.js. Lets a test have one that crashes. */
  startWorker?: StartWorker;
}

/** What one message to a reader is made of. */
const BATCH_JOBS = 64;
const BATCH_BYTES = 1024 * 1024;
const SMALLEST_BATCH = 8;
const SMALLEST_BUDGET = 16 * 1024 * 1024;

/**
 * Reads files in worker threads. Threads are started when there is work for them, one at a time.
 *
 * Memory: what is being read and what the handlers have not yet dealt with stays below about five blocks for each
 * worker: of long files what long-files.ts says, one being encoded, and about one of small files. So any number of
 * reads may be asked for at once; they wait in a queue.
 */
export class ContentPool {
  private readonly settings: ReaderSettings;
  private readonly workers: number;
  private readonly start: StartWorker | undefined;
  private readonly budget: number;
  private readonly signal: AbortSignal | undefined;
  private readonly onAbort = () => void this.endWith(abortedError(this.signal?.reason));
  private readonly queue = { small: new Queue(), long: new Queue() };
  private readonly readers: PoolReader[] = [];
  private readonly longFiles: LongFiles;
  /** Bytes promised to readers or held by handlers. */
  private held = 0;
  private nextId = 1;
  private dispatching: NodeJS.Immediate | undefined;
  private ended: SysbackupError | undefined;

  /** Throws CONFIG where the compression cannot be had in this Node. Of a `gzipLibrary` its threads need to have it. */
  constructor(options: ContentPoolOptions) {
    const { blockSize, compression, level, gzipLibrary = 'zlib', lockTimeoutMs, md5From = 0 } = options;
    if (compression === 'zstd') requireZstd();
    this.settings = { blockSize, compression, level, gzipLibrary, lockTimeoutMs, md5From };
    const workers = options.workers ?? availableParallelism();
    this.start = workers === 0 ? undefined : (options.startWorker ?? startWorker);
    this.workers = Math.max(1, workers);
    this.longFiles = new LongFiles(blockSize, this.workers, () => this.readerForBlock());
    this.budget = Math.max(SMALLEST_BUDGET, this.workers * blockSize);
    this.signal = options.signal;
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    if (this.signal?.aborted) this.onAbort();
  }

  /**
   * Reads one regular file. `expected` is what lstat said of it: another inode there is refused (`REPLACED`), and
   * the size helps to share out the work. Resolves when all its blocks have been dealt with.
   *
   * Rejects with {@link ReadFailure} where the file cannot be read, with a handler's own error, or with ABORTED.
   */
  read(path: BytePath, handlers: ReadHandlers, expected?: FileStat): Promise<FileReading> {
    return new Promise((resolve, reject) => {
      if (this.ended) {
        reject(this.ended);
        return;
      }
      const settle = { resolve, reject };
      const job = new PoolJob(this.nextId++, path, handlers, expected, this.settings.blockSize, settle);
      (job.long ? this.queue.long : this.queue.small).push(job);
      this.dispatchSoon();
    });
  }

  /** Ends the threads. Reads that are not done are rejected with ABORTED. */
  close(): Promise<void> {
    return this.endWith(new SysbackupError('ABORTED', 'the content pool has been closed'));
  }

  private async endWith(error: SysbackupError): Promise<void> {
    this.ended ??= error;
    this.signal?.removeEventListener('abort', this.onAbort);
    clearImmediate(this.dispatching);
    const readers = this.readers.splice(0);
    for (const job of [...this.queue.long.clear(), ...this.queue.small.clear()]) job.reject(error);
    for (const reader of readers) for (const job of reader.jobs.values()) job.reject(error);
    this.longFiles.end(error);
    await Promise.all(readers.map((reader) => reader.terminate()));
  }

  /** Not at once: calls of one turn of the event loop make one message. */
  private dispatchSoon(): void {
    this.dispatching ??= setImmediate(() => {
      this.dispatching = undefined;
      this.dispatch();
    });
  }

  private dispatch(): void {
    for (const queue of [this.queue.long, this.queue.small]) {
      for (let job = queue.first; job && this.hasRoom; job = queue.first) {
        const reader = this.readerFor(job);
        if (!reader) break;
        const jobs = this.takeBatch(queue, reader);
        for (const taken of jobs) this.held += taken.weight;
        reader.take(jobs);
      }
    }
  }

  private get hasRoom(): boolean {
    return !this.ended && this.held < this.budget;
  }

  /** The one with the least to do of those that take the job; a new one where none does and there may be more. */
  private readerFor(job: PoolJob): PoolReader | undefined {
    let best: PoolReader | undefined;
    for (const reader of this.readers)
      if (reader.accepts(job) && (best === undefined || reader.load < best.load)) best = reader;
    const goodEnough = best && !best.readsLong && !(job.long && best.load > 0);
    if (goodEnough || this.readers.length >= this.workers) return best;
    return this.newReader();
  }

  /** The same for a block: of those that have none. */
  private readerForBlock(): PoolReader | undefined {
    let best: PoolReader | undefined;
    for (const reader of this.readers)
      if (!reader.worksOnBlock && (best === undefined || reader.load < best.load)) best = reader;
    if (best?.load === 0 || this.ended || this.readers.length >= this.workers) return best;
    return this.newReader();
  }

  private newReader(): PoolReader {
    const reader = new PoolReader(this.settings, this.start, {
      message: (from, message) => this.received(from, message),
      crashed: (from, reason) => this.crashed(from, reason),
    });
    this.readers.push(reader);
    return reader;
  }

  private takeBatch(queue: Queue, reader: PoolReader): PoolJob[] {
    const share = Math.max(SMALLEST_BATCH, Math.ceil(queue.length / this.readers.length));
    const batch: PoolJob[] = [];
    let bytes = 0;
    for (let job = queue.first; job && reader.accepts(job); job = queue.first) {
      if (batch.length > 0 && (job.long || job.alone || bytes + job.weight > BATCH_BYTES)) break;
      queue.shift();
      batch.push(job);
      bytes += job.weight;
      if (job.long || job.alone || batch.length >= Math.min(share, BATCH_JOBS)) break;
    }
    return batch;
  }

  private received(reader: PoolReader, message: FromReader): void {
    if (message.kind === 'records') this.receivedRecords(reader, message);
    else this.longFiles.received(reader, message);
    this.longFiles.goOn();
    this.dispatch();
  }

  private receivedRecords(reader: PoolReader, message: JobRecords): void {
    const parcel = new Parcel(message.bytes);
    for (const record of message.records) {
      const job = reader.jobs.get(record.id);
      if (!job || this.ended) continue;
      if (record.kind === 'block') {
        if (job.wanted) this.handOn(reader, job, record, parcel);
      } else if (record.kind === 'memory') this.longFiles.begin(reader, job, record.blocks);
      else if (record.kind === 'piece') this.longFiles.piece(job, record);
      else if (record.kind === 'restart') {
        this.longFiles.restart(job);
        if (job.wanted) job.restart();
      } else {
        if (record.kind === 'end') job.end(readingOf(parcel.bytes, record));
        else job.reject(new ReadFailure(job.path, record.code, record.reason));
        this.finished(reader, job);
      }
    }
    parcel.letGo();
  }

  private handOn(reader: PoolReader, job: PoolJob, record: BlockRecord, parcel: Parcel): void {
    const dealtWith = job.block(blockOf(parcel.bytes, record), 0);
    if (dealtWith === undefined) {
      this.handedOn(reader, job, record);
      return;
    }
    const bytes = record.stored.length;
    this.held += bytes;
    parcel.hold();
    void dealtWith.then(() => {
      this.held -= bytes;
      if (job.wanted) parcel.letGo();
      this.handedOn(reader, job, record);
      if (this.queue.small.first || this.queue.long.first) this.dispatchSoon();
    });
  }

  /** The block has been dealt with, and its memory is free; not where that failed: what was begun may still read it. */
  private handedOn(reader: PoolReader, job: PoolJob, { stored }: BlockRecord): void {
    if (!job.wanted) reader.drop(job);
    else if (stored.own) releaseMemory(stored.own);
  }

  private finished(reader: PoolReader, job: PoolJob): void {
    reader.finished(job);
    this.longFiles.finished(job);
    this.held -= job.weight;
  }

  /** Jobs that had not begun to hand on blocks get another reader, each to itself; the others fail. */
  private crashed(reader: PoolReader, reason: string): void {
    const at = this.readers.indexOf(reader);
    if (at < 0) return;
    this.readers.splice(at, 1);
    void reader.terminate();
    this.longFiles.crashed(reader, reason);
    for (const job of reader.jobs.values()) {
      this.longFiles.finished(job);
      this.held -= job.weight;
      if (!job.wanted) continue;
      if (job.alone || job.begun) job.reject(crashFailure(job, reason));
      else {
        job.alone = true;
        (job.long ? this.queue.long : this.queue.small).push(job);
      }
    }
    this.dispatchSoon();
  }
}

/** The bytes of one message, freed once all blocks in it have been dealt with; left alone where one was not. */
class Parcel {
  private readonly memory: OwnMemory<Uint8Array>;
  private holders = 1;

  constructor(bytes: Uint8Array) {
    this.memory = OwnMemory.of(bytes);
  }

  get bytes(): Uint8Array {
    return this.memory.view;
  }

  hold(): void {
    this.holders++;
  }

  letGo(): void {
    this.holders--;
    if (this.holders === 0) this.memory.release();
  }
}

function abortedError(cause: unknown): SysbackupError {
  return new SysbackupError('ABORTED', 'stopped while reading files', { cause });
}

/** First in, first out, without moving all others for each. */
class Queue {
  private jobs: PoolJob[] = [];
  private head = 0;

  get first(): PoolJob | undefined {
    return this.jobs[this.head];
  }
  get length(): number {
    return this.jobs.length - this.head;
  }
  push(job: PoolJob): void {
    this.jobs.push(job);
  }
  shift(): void {
    this.head++;
    if (this.head < 1024 || this.head * 2 < this.jobs.length) return;
    this.jobs = this.jobs.slice(this.head);
    this.head = 0;
  }
  clear(): PoolJob[] {
    const rest = this.jobs.slice(this.head);
    this.jobs = [];
    this.head = 0;
    return rest;
  }
}
