import { SysbackupError, messageOf, throwIfAborted } from '../errors.js';
import { pauseBefore, pauseFor } from './backoff.js';
import type { RetryOptions } from './retry.js';
import { StoreError } from './store-error.js';
import type { ByteRange, ObjectStore } from './port.js';

/**
 * The bytes of a version, or of a range of it, which are `expectedSize` long. Where the stream breaks it goes on
 * from the byte it broke at; `maxAttempts` counts attempts that brought nothing, one after another (default 6).
 * Throws `DAMAGED` where there are more bytes than expected, or fewer again and again.
 */
export async function* readFully(
  store: Pick<ObjectStore, 'description' | 'get'>,
  key: string,
  version: string,
  range: ByteRange | undefined,
  expectedSize: number,
  options: RetryOptions = {},
): AsyncGenerator<Buffer> {
  const { maxAttempts = 6, listener, signal } = options;
  const pause = options.pause ?? pauseFor;
  const start = range?.start ?? 0;
  const what = `${key} in ${store.description}`;
  let received = 0;
  let fruitless = 0;
  for (;;) {
    throwIfAborted(signal);
    let failure: StoreError;
    fruitless += 1;
    try {
      const from = received === 0 ? range : { start: start + received, end: start + expectedSize };
      for await (const chunk of await store.get(key, version, from)) {
        const bytes = chunk as Buffer;
        if (received + bytes.length > expectedSize)
          throw wrongLength(what, `more than ${expectedSize}`, expectedSize);
        received += bytes.length;
        fruitless = 0;
        yield bytes;
      }
      if (received === expectedSize) return;
      failure = wrongLength(what, String(received), expectedSize);
    } catch (error) {
      throwIfAborted(signal);
      // What the store itself refused has been repeated as often as makes sense.
      if (error instanceof SysbackupError) throw error;
      failure = brokenOff(what, received, error);
    }
    if (fruitless >= maxAttempts) throw failure;
    const attempt = Math.max(1, fruitless);
    const delayMs = pauseBefore(attempt, options);
    listener?.({ type: 'retry', request: 'get', key, attempt, delayMs, reason: messageOf(failure) });
    await pause(delayMs, signal);
  }
}

function wrongLength(what: string, found: string, expected: number): StoreError {
  return new StoreError('DAMAGED', `${what} has ${found} bytes where ${expected} were expected`);
}

function brokenOff(what: string, received: number, cause: unknown): StoreError {
  return new StoreError(
    'STORE_FAILED',
    `reading ${what} broke off after ${received} bytes: ${messageOf(cause)}`,
    {
      cause,
    },
  );
}
