import { Readable } from 'node:stream';
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

/** The bytes of a stream that goes on from the byte it breaks off at. */
export function resumedStream(first: Readable, read: ResumedRead, options: ResumeOptions): Readable {
  return Readable.from(resumed(first, read, options), { objectMode: false });
}

async function* resumed(
  first: Readable,
  { key, doing, again }: ResumedRead,
  { listener, signal, pause = pauseFor, ...backoff }: ResumeOptions,
): AsyncGenerator<Buffer> {
  let received = 0;
  let fruitless = 0;
  for (let stream = first; ; stream = await again(received)) {
    fruitless += 1;
    try {
      for await (const chunk of stream) {
        const bytes: Buffer = chunk;
        received += bytes.length;
        fruitless = 0;
        yield bytes;
      }
      return;
    } catch (error) {
      throwIfAborted(signal);
      if (error instanceof SysbackupError) throw error;
      const reason = messageOf(error);
      if (fruitless >= FRUITLESS)
        throw new StoreError('STORE_FAILED', `${doing} broke off after ${received} bytes: ${reason}`, {
          cause: error,
        });
      const attempt = Math.max(1, fruitless);
      const delayMs = pauseBefore(attempt, backoff);
      listener?.({ type: 'retry', request: 'get', key, attempt, delayMs, reason });
      await pause(delayMs, signal);
    }
  }
}
