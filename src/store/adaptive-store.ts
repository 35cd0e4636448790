import type { Readable } from 'node:stream';
import { throwIfAborted } from '../errors.js';
import { AdaptiveLimit } from './adaptive-limit.js';
import { Budget } from './concurrency.js';
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
import { StoreError } from './store-error.js';

export interface AdaptiveOptions {
  /** Requests under way at once: at first, at least and at most. Default 16, 2 and 64. */
  first?: number;
  least?: number;
  most?: number;
  /** Milliseconds from anywhere. Default `performance.now`. */
  monotonic?: (() => number) | undefined;
  /** Once it fires, what waits for its turn is not sent any more: `ABORTED`. */
  signal?: AbortSignal | undefined;
}

/**
 * The store with as many requests under way at once as it takes ({@link AdaptiveLimit}); the rest waits in order. To be
 * put below what repeats requests, so that it hears of every refusal and pauses take no turn.
 */
export function withAdaptiveConcurrency(inner: ObjectStore, options: AdaptiveOptions = {}): ObjectStore {
  return new AdaptiveStore(inner, options);
}

class AdaptiveStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly localRoot: string | undefined;
  readonly damage: StoreDamage | undefined;
  readonly #inner: ObjectStore;
  readonly #monotonic: () => number;
  readonly #signal: AbortSignal | undefined;
  readonly #limit: AdaptiveLimit;
  readonly #turns: Budget;

  constructor(inner: ObjectStore, options: AdaptiveOptions) {
    const { signal, monotonic = () => performance.now(), ...bounds } = options;
    this.description = inner.description;
    this.identity = inner.identity;
    this.damage = inner.damage;
    this.localRoot = inner.localRoot;
    this.#inner = inner;
    this.#monotonic = monotonic;
    this.#signal = signal;
    this.#limit = new AdaptiveLimit({
      ...bounds,
      monotonic,
      changed: (limit) => {
        this.#turns.total = limit;
      },
    });
    this.#turns = new Budget(this.#limit.limit);
  }

  put(request: PutRequest): Promise<StoredVersion> {
    return this.#inTurn(request.body.size, () => this.#inner.put(request));
  }

  get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    return this.#inTurn(0, () => this.#inner.get(key, version, range));
  }

  get etags(): ObjectStore['etags'] {
    return this.#inner.etags;
  }

  head(key: string, version: string): Promise<VersionHead> {
    return this.#inTurn(0, () => this.#inner.head(key, version));
  }

  list(request: ListRequest): Promise<ListPage> {
    return this.#inTurn(0, () => this.#inner.list(request));
  }

  getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.#inTurn(0, () => this.#inner.getRetention(key, version));
  }

  extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    return this.#inTurn(0, () => this.#inner.extendRetention(key, version, retention));
  }

  capabilities(): Promise<StoreCapabilities> {
    return this.#inTurn(0, () => this.#inner.capabilities());
  }

  now(prefix?: string): Promise<number> {
    return this.#inner.now(prefix);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #inTurn<T>(bytes: number, send: () => Promise<T>): Promise<T> {
    if (!this.#turns.tryTake(1)) await this.#turns.take(1);
    const begun = this.#monotonic();
    try {
      throwIfAborted(this.#signal);
      const answer = await send();
      this.#limit.answered(bytes, this.#turns.isWaitedFor);
      return answer;
    } catch (error) {
      if (error instanceof StoreError && error.overloaded) this.#limit.refused(begun);
      throw error;
    } finally {
      this.#turns.giveBack(1);
    }
  }
}
