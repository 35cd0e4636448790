import { finished, Readable } from 'node:stream';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import { type BackoffOptions, pauseBefore, pauseFor } from './backoff.js';
import { StoreError } from './store-error.js';

/** Attempts at going on that bring nothing, one after another, before the reader is told. */
const FRUITLESS = 6;

export interface ResumeOptions extends BackoffOptions {
  listener?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface ResumedRead {
  key: string;
  /** `reading content/ab… in s3://bucket`, for messages. */
  doing: string;
  /** The bytes from `received` on of those that were asked for. */
  again: (received: number) => Promise<Readable>;
}

/**
 * The bytes of a stream that goes on from the byte it breaks off at. They are handed on by events: a generator between
 * the two streams took a tenth of a restore's main thread.
 */
export function resumedStream(first: Readable, read: ResumedRead, options: ResumeOptions): Readable {
  return new ResumedStream(first, read, options);
}

class ResumedStream extends Readable {
  #source: Readable | undefined;
  readonly #read: ResumedRead;
  readonly #options: ResumeOptions;
  #received = 0;
  #fruitless = 0;

  constructor(first: Readable, read: ResumedRead, options: ResumeOptions) {
    super();
    this.#read = read;
    this.#options = options;
    this.#takeFrom(first);
  }

  override _read(): void {
    this.#source?.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source?.destroy();
    this.#source = undefined;
    done(error);
  }

  #takeFrom(source: Readable): void {
    if (this.destroyed) {
      source.destroy();
      return;
    }
    this.#source = source;
    this.#fruitless += 1;
    source.on('data', (chunk: Buffer) => {
      this.#received += chunk.length;
      this.#fruitless = 0;
      if (!this.push(chunk)) source.pause();
    });
    finished(source, { writable: false }, (error) => {
      if (this.#source !== source) return; // nobody wants more of it
      this.#source = undefined;
      if (error) void this.#goOnAfter(error);
      else this.push(null);
    });
  }

  async #goOnAfter(error: Error): Promise<void> {
    const { again } = this.#read;
    try {
      await this.#pauseAfter(error);
      this.#takeFrom(await again(this.#received));
    } catch (failure) {
      this.destroy(failure as Error);
    }
  }

  /** Throws where there is no going on. */
  async #pauseAfter(error: Error): Promise<void> {
    const { listener, signal, pause = pauseFor, ...backoff } = this.#options;
    throwIfAborted(signal);
    if (error instanceof SysbackupError) throw error;
    const { key, doing } = this.#read;
    const reason = messageOf(error);
    if (this.#fruitless >= FRUITLESS)
      throw new StoreError('STORE_FAILED', `${doing} broke off after ${this.#received} bytes: ${reason}`, {
        cause: error,
      });
    const attempt = Math.max(1, this.#fruitless);
    const delayMs = pauseBefore(attempt, backoff);
    listener?.({ type: 'retry', request: 'get', key, attempt, delayMs, reason });
    await pause(delayMs, signal);
  }
}
