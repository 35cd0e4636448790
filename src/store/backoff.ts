import { setTimeout as wait } from 'node:timers/promises';
import { abortedError } from '../errors.js';

export interface BackoffOptions {
  /** Milliseconds that the first pause lasts at most; each later one twice as long. Default 250. */
  firstMs?: number;
  /** Milliseconds that any pause lasts at most, however long the store asks for. Default 20,000. */
  longestMs?: number;
  /** From 0 to 1. Default `Math.random`. */
  random?: () => number;
  /** Waits; rejects with `ABORTED` when the signal fires. */
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/**
 * Milliseconds to wait before an attempt, counted from 1 for the first repeated one. With "full jitter": anything up
 * to the limit, so that many clients that failed together do not come back together (Amazon Builders' Library,
 * "Timeouts, retries, and backoff with jitter").
 */
export function pauseBefore(attempt: number, options: BackoffOptions, atLeastMs = 0): number {
  const longest = options.longestMs ?? 20_000;
  const limit = Math.min(longest, (options.firstMs ?? 250) * 2 ** (attempt - 1));
  const random = options.random ?? Math.random;
  return Math.round(Math.max(Math.min(atLeastMs, longest), random() * limit));
}

export async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await wait(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw abortedError(cause);
  }
}
