import type { BlockReader, BlockTask, LongFile } from './block-task.js';
import type { BlockMemory, FromReader, PieceRecord } from './messages.js';
import type { PoolJob } from './pool-job.js';
import { ReadFailure } from './read-failure.js';
import { releaseMemory } from '../release-memory.js';

type BlockAnswer = Exclude<FromReader, { kind: 'records' }>;

/** Readers that work on long files at a time: memory shall not grow with the processors. */
const MOST_AT_WORK = 4;

/**
 * Has the blocks of long files hashed and encoded by all readers. One reads a file from its beginning to its end and
 * hashes the whole, which can be done in one way only; it leaves the blocks in memory that all threads share. There
 * any reader hashes them, and those that nobody knows are encoded then.
 *
 * Memory: one block more than there are readers is read and not yet encoded; one more than twice as many are on their
 * way in all, from being read to being dealt with. (More are no faster, on two processors.) With blocks of 16 MiB that
 * is 128 MiB on two processors, and 224 MiB on four and more.
 */
export class LongFiles {
  private readonly blockSize: number;
  private readonly readerForBlock: () => BlockReader | undefined;
  private readonly files = new Map<PoolJob, LongFile>();
  private readonly tasks: BlockTask[] = [];
  private readonly free: BlockMemory[] = [];
  private made = 0;
  private readonly mostMade: number;
  private onTheWay = 0;
  private readonly mostOnTheWay: number;
  private readonly underWay = new Set<BlockTask>();
  private ended = false;

  /** @param readerForBlock one that has no block to work on; undefined where all have */
  constructor(blockSize: number, readers: number, readerForBlock: () => BlockReader | undefined) {
    this.blockSize = blockSize;
    const atWork = Math.min(readers, MOST_AT_WORK);
    this.mostMade = atWork + 1;
    this.mostOnTheWay = 2 * atWork + 1;
    this.readerForBlock = readerForBlock;
  }

  begin(reader: BlockReader, job: PoolJob, blocks: number): void {
    this.files.set(job, { job, reader, attempt: 0, read: 0, wanted: blocks, lent: new Map() });
  }

  /** The reader has read a block, and wants memory for one more. */
  piece(job: PoolJob, { slot, size, sha }: PieceRecord): void {
    const file = this.files.get(job);
    const memory = file?.lent.get(slot);
    if (file === undefined || memory === undefined) throw new Error('a block in memory that was not lent');
    file.lent.delete(slot);
    file.wanted++;
    job.begun = true;
    job.hold();
    const { attempt } = file;
    const task = { file, attempt, index: file.read++, size, memory, sha, zeros: sha !== undefined };
    const block = { ...task, crashed: false };
    this.underWay.add(block);
    if (sha === undefined) this.tasks.push(block);
    else this.ask(block, sha);
  }

  restart(job: PoolJob): void {
    const file = this.files.get(job);
    if (file === undefined) return;
    file.attempt++;
    file.read = 0;
  }

  /** The reader has said its last word about it. */
  finished(job: PoolJob): void {
    const file = this.files.get(job);
    if (file === undefined) return;
    this.files.delete(job);
    for (const memory of file.lent.values()) this.takeBack(memory);
    this.onTheWay -= file.lent.size;
    file.lent.clear();
  }

  received(reader: BlockReader, message: BlockAnswer): void {
    const task = reader.endWork();
    if (task === undefined || this.ended) return;
    if (message.kind === 'hashed') this.ask(task, message.sha);
    else if (message.kind === 'encoded') this.handOn(task, message.stored);
    else {
      const { job } = task.file;
      job.reject(new ReadFailure(job.path, message.code, message.reason));
      this.takeBack(task.memory);
      this.done(task);
    }
  }

  /** The block that the reader worked on gets another one, once. */
  crashed(reader: BlockReader, reason: string): void {
    const task = reader.endWork();
    if (task === undefined || this.ended) return;
    if (task.crashed) {
      const { job } = task.file;
      job.reject(crashFailure(job, reason));
      this.takeBack(task.memory);
      this.done(task);
    } else {
      task.crashed = true;
      this.tasks.unshift(task);
    }
  }

  /** Gives readers what they can do: blocks to work on, memory to read the next into. */
  goOn(): void {
    if (this.ended) return;
    for (let task = this.tasks[0]; task; task = this.tasks[0]) {
      if (!this.counts(task)) {
        this.tasks.shift();
        this.takeBack(task.memory);
        this.done(task);
        continue;
      }
      const reader = this.readerForBlock();
      if (reader === undefined) break;
      this.tasks.shift();
      reader.workOn(task);
    }
    for (const file of this.files.values()) {
      while (file.wanted > 0 && this.onTheWay < this.mostOnTheWay) {
        const memory = this.memory();
        if (memory === undefined) return;
        this.onTheWay++;
        file.wanted--;
        file.lent.set(memory.slot, memory);
        file.reader.lend(file.job, memory);
      }
    }
  }

  /** Rejects what is under way. */
  end(error: Error): void {
    this.ended = true;
    for (const { file } of this.underWay) file.job.reject(error);
  }

  private ask(task: BlockTask, sha: Uint8Array): void {
    task.sha = sha;
    const known = !this.counts(task) || task.file.job.known({ sha, size: task.size }, task.index);
    if (!(known instanceof Promise)) {
      this.answered(task, known);
      return;
    }
    void known.then((answer) => {
      this.answered(task, answer);
      this.goOn();
    });
  }

  private answered(task: BlockTask, known: boolean): void {
    if (!known) {
      this.tasks.push(task);
      return;
    }
    this.takeBack(task.memory);
    this.done(task);
  }

  private handOn(task: BlockTask, stored: (BlockAnswer & { kind: 'encoded' })['stored']): void {
    this.takeBack(task.memory);
    const { sha, size, index } = task;
    const { job } = task.file;
    const dealtWith = this.counts(task) && sha ? job.block({ sha, size, stored }, index) : undefined;
    const end = () => {
      // Where that failed, what was begun may still read it.
      if (job.wanted) releaseMemory(stored.bytes);
      this.done(task);
    };
    if (!(dealtWith instanceof Promise)) {
      end();
      return;
    }
    void dealtWith.then(() => {
      end();
      this.goOn();
    });
  }

  /** Whether anybody wants it: the reading has not failed, and not been begun again. */
  private counts({ file, attempt }: BlockTask): boolean {
    return file.job.wanted && file.attempt === attempt;
  }

  private done(task: BlockTask): void {
    const { job, reader } = task.file;
    this.underWay.delete(task);
    this.onTheWay--;
    if (!job.wanted) reader.drop(job);
    job.letGo();
  }

  private memory(): BlockMemory | undefined {
    if (this.free.length > 0 || this.made >= this.mostMade) return this.free.pop();
    return { slot: this.made++, bytes: new Uint8Array(new SharedArrayBuffer(this.blockSize)) };
  }

  private takeBack(memory: BlockMemory): void {
    this.free.push(memory);
  }
}

export function crashFailure({ path }: PoolJob, reason: string): ReadFailure {
  return new ReadFailure(path, 'READER_CRASHED', `the thread that read it crashed: ${reason}`);
}
