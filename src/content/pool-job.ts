import type { BytePath } from '../files/byte-path.js';
import type { FileStat } from '../files/stat.js';
import type { EncodedBlock, FileReading, HashedBlock, ReadHandlers } from './types.js';

/** What a job costs beyond its bytes: opening, hashing, closing. */
const BASE_WEIGHT = 8 * 1024;

/** One call of `read`: from the queue through a reader to the promise's end. */
export class PoolJob {
  readonly id: number;
  readonly path: BytePath;
  readonly expectedInode: string | undefined;
  /** Bytes it is expected to mean. */
  readonly weight: number;
  readonly long: boolean;
  /** It was there when a reader crashed: next time it has one to itself, and there is no other time. */
  alone = false;
  /** Blocks were read. */
  begun = false;
  private readonly handlers: ReadHandlers;
  private readonly resolve: (reading: FileReading) => void;
  private readonly rejectRead: (error: unknown) => void;
  private pending = 0;
  private reading: FileReading | undefined;
  private failed = false;

  constructor(
    id: number,
    path: BytePath,
    handlers: ReadHandlers,
    expected: FileStat | undefined,
    blockSize: number,
    settle: { resolve: (reading: FileReading) => void; reject: (error: unknown) => void },
  ) {
    this.id = id;
    this.path = path;
    this.handlers = handlers;
    this.expectedInode = expected?.inodeId;
    const size = expected?.size ?? 0;
    this.weight = BASE_WEIGHT + Math.min(size, blockSize);
    this.long = size > blockSize;
    this.resolve = settle.resolve;
    this.rejectRead = settle.reject;
  }

  /** Whether the caller still waits for it. */
  get wanted(): boolean {
    return !this.failed;
  }

  /** Hands a block on. Undefined where it has been dealt with at once; the promise never rejects. */
  block(block: EncodedBlock, index: number): Promise<void> | undefined {
    this.begun = true;
    const dealtWith = this.handle<void>(() => this.handlers.block(block, index), undefined);
    return dealtWith instanceof Promise ? dealtWith : undefined;
  }

  /** Whether the block is not wanted; of a reading that has failed none is. The promise never rejects. */
  known(block: HashedBlock, index: number): boolean | Promise<boolean> {
    return this.handle(() => this.handlers.known?.(block, index) ?? false, true);
  }

  /** What the handler says, now or later; `otherwise` where it failed, and the reading with it. */
  private handle<T>(ask: () => T | Promise<T>, otherwise: T): T | Promise<T> {
    try {
      const answer = ask();
      return answer instanceof Promise ? this.waitFor(answer, otherwise) : answer;
    } catch (error) {
      this.reject(error);
      return otherwise;
    }
  }

  private async waitFor<T>(answer: Promise<T>, otherwise: T): Promise<T> {
    this.hold();
    try {
      return await answer;
    } catch (error) {
      this.reject(error);
      return otherwise;
    } finally {
      this.letGo();
    }
  }

  /** Something of it is on its way: it is not done before {@link letGo}. */
  hold(): void {
    this.pending++;
  }

  letGo(): void {
    this.pending--;
    this.settle();
  }

  restart(): void {
    try {
      this.handlers.restart();
    } catch (error) {
      this.reject(error);
    }
  }

  /** All blocks have been handed on; the caller hears of it when all have been dealt with. */
  end(reading: FileReading): void {
    this.reading = reading;
    this.settle();
  }

  reject(error: unknown): void {
    this.failed = true;
    this.rejectRead(error);
  }

  private settle(): void {
    if (this.pending === 0 && this.reading) this.resolve(this.reading);
  }
}
