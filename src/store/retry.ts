import type { Readable } from 'node:stream';
import { messageOf, throwIfAborted } from '../errors.js';
import type { EventListener, RequestKind } from '../events.js';
import { pauseBefore, pauseFor, type BackoffOptions } from './backoff.js';
import { resumedStream } from './resumed-stream.js';
import { StoreError } from './store-error.js';
import type {
  ByteRange,
  ListPage,
  ListRequest,
  ObjectStore,
  PutRequest,
  Retention,
  StoreCapabilities,
  StoreDamage,
  StoredVersion,
  VersionHead,
} from './port.js';

export interface RetryOptions extends BackoffOptions {
  /** Attempts at one request, the first included. Default 12. */
  maxAttempts?: number;
  /** Milliseconds after a request's first attempt from which on it is not repeated. Default 300,000. */
  maxElapsedMs?: number;
  /**
   * Until the store has answered once: attempts at a request, and milliseconds for all of them. For where a person
   * waits, and has mistyped the endpoint. Default: as later.
   */
  firstAnswer?: FirstAnswer | undefined;
  /** Hears `retry` before each pause. */
  listener?: EventListener | undefined;
  /** Ends pauses, and what comes after them, with `ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Milliseconds from anywhere. Default `performance.now`. */
  monotonic?: () => number;
  /** Whether streams can break off, as connections do and files do not. Default true. */
  resumeReads?: boolean | undefined;
}

export interface FirstAnswer {
  attempts: number;
  withinMs: number;
}

/** Behind every object's end: a range that reaches further is one to the end (RFC 9110, 14.1.2). */
const FAR = Number.MAX_SAFE_INTEGER;

/**
 * Repeats requests that failed in a way that passes, as the store says ({@link StoreError.retryable}). A repeated
 * PUT whose first attempt was stored after all leaves a second version of the same bytes, locked as well; all
 * other requests may be repeated without any trace. A stream that breaks goes on from where it broke.
 */
export function retryRequests(inner: ObjectStore, options: RetryOptions = {}): ObjectStore {
  return new RetryingStore(inner, options);
}

class RetryingStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly localRoot: string | undefined;
  readonly damage: StoreDamage | undefined;
  readonly #inner: ObjectStore;
  readonly #options: RetryOptions;

  constructor(inner: ObjectStore, options: RetryOptions) {
    this.description = inner.description;
    this.identity = inner.identity;
    this.damage = inner.damage;
    this.localRoot = inner.localRoot;
    this.#inner = inner;
    this.#options = options;
  }

  put(request: PutRequest): Promise<StoredVersion> {
    return this.#repeat('put', request.key, () => this.#inner.put(request));
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    const stream = await this.#repeat('get', key, () => this.#inner.get(key, version, range));
    if (this.#options.resumeReads === false) return stream;
    const { start, end } = range ?? { start: 0, end: FAR };
    const again = (received: number): Promise<Readable> =>
      this.#repeat('get', key, () => this.#inner.get(key, version, { start: start + received, end }));
    return resumedStream(
      stream,
      { key, doing: `reading ${key} in ${this.description}`, again },
      this.#options,
    );
  }

  get etags(): ObjectStore['etags'] {
    return this.#inner.etags;
  }

  head(key: string, version: string): Promise<VersionHead> {
    return this.#repeat('head', key, () => this.#inner.head(key, version));
  }

  list(request: ListRequest): Promise<ListPage> {
    const { withinMs } = request;
    if (withinMs === undefined) return this.#repeat('list', request.prefix, () => this.#inner.list(request));
    const monotonic = this.#options.monotonic ?? (() => performance.now());
    const end = monotonic() + withinMs;
    return repeatRequest({ ...this.#options, maxElapsedMs: withinMs }, 'list', request.prefix, () =>
      this.#inner.list({ ...request, withinMs: Math.max(1, Math.floor(end - monotonic())) }),
    );
  }

  getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.#repeat('get-retention', key, () => this.#inner.getRetention(key, version));
  }

  extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    return this.#repeat('put-retention', key, () => this.#inner.extendRetention(key, version, retention));
  }

  capabilities(): Promise<StoreCapabilities> {
    return this.#repeat('get-bucket-configuration', '', () => this.#inner.capabilities());
  }

  now(prefix?: string): Promise<number> {
    return this.#repeat('list', prefix ?? '', () => this.#inner.now(prefix));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #repeat<T>(request: RequestKind, key: string, send: () => Promise<T>): Promise<T> {
    return await repeatRequest(this.#options, request, key, send);
  }
}

/**
 * Sends one request again and again, as {@link retryRequests} says.
 *
 * @param mayPass whether it is worth it after an error. Default: as the error says
 */
export async function repeatRequest<T>(
  options: RetryOptions,
  request: RequestKind,
  key: string,
  send: () => Promise<T>,
  mayPass: (error: StoreError) => boolean = (error) => error.retryable,
): Promise<T> {
  const { maxAttempts = 12, maxElapsedMs = 300_000, firstAnswer, listener, signal } = options;
  const monotonic = options.monotonic ?? (() => performance.now());
  const pause = options.pause ?? pauseFor;
  const begun = monotonic();
  let limited = 0;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(signal);
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof StoreError) || !mayPass(error) || attempt >= maxAttempts) throw error;
      if (error.mostRepeats !== undefined && ++limited > error.mostRepeats) throw error;
      const first = error.unanswered ? firstAnswer : undefined;
      if (first !== undefined && attempt >= first.attempts) throw error;
      const delayMs = pauseBefore(attempt, options, error.retryAfterMs);
      if (monotonic() - begun + delayMs > (first?.withinMs ?? maxElapsedMs)) throw error;
      listener?.({ type: 'retry', request, key, attempt, delayMs, reason: messageOf(error) });
      await pause(delayMs, signal);
    }
  }
}
