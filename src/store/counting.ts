import type { Readable } from 'node:stream';
import { SysbackupError } from '../errors.js';
import type { RequestCounts, RequestKind } from '../events.js';
import { mustAskForTime } from './store-clock.js';
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

export interface CountingOptions {
  /** Requests that may be sent, repeated ones included. Default: any number. */
  maxRequests?: number | undefined;
  /** How many of them are kept for the end (the manifest's PUT): see {@link CountingStore.useReserve}. Default 0. */
  reserve?: number | undefined;
}

/**
 * Counts what is sent to a store, each attempt once, whether it succeeds or not. Throws `LIMIT` instead of sending
 * one request too many.
 */
export class CountingStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly localRoot: string | undefined;
  readonly damage: StoreDamage | undefined;
  readonly #inner: ObjectStore;
  readonly #counts: RequestCounts = {};
  readonly #maxRequests: number;
  #reserve: number;
  #total = 0;

  constructor(inner: ObjectStore, options: CountingOptions = {}) {
    this.description = inner.description;
    this.identity = inner.identity;
    this.damage = inner.damage;
    this.#inner = inner;
    this.#maxRequests = options.maxRequests ?? Number.POSITIVE_INFINITY;
    // What is read past this one cannot be kept within a limit.
    this.localRoot = options.maxRequests === undefined ? inner.localRoot : undefined;
    this.#reserve = options.reserve ?? 0;
  }

  /** What has been sent so far, by kind. */
  get requests(): RequestCounts {
    return { ...this.#counts };
  }

  /** From now on the requests kept for the end may be sent too. */
  useReserve(): void {
    this.#reserve = 0;
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    this.count('put');
    return this.#inner.put(request);
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    this.count('get');
    return this.#inner.get(key, version, range);
  }

  get etags(): ObjectStore['etags'] {
    return this.#inner.etags;
  }

  async head(key: string, version: string): Promise<VersionHead> {
    this.count('head');
    return this.#inner.head(key, version);
  }

  async list(request: ListRequest): Promise<ListPage> {
    this.count('list');
    return this.#inner.list(request);
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    this.count('get-retention');
    return this.#inner.getRetention(key, version);
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    this.count('put-retention');
    return this.#inner.extendRetention(key, version, retention);
  }

  async capabilities(): Promise<StoreCapabilities> {
    this.count('get-bucket-configuration');
    return this.#inner.capabilities();
  }

  async now(prefix?: string): Promise<number> {
    if (mustAskForTime(this.#inner)) this.count('list');
    return this.#inner.now(prefix);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  /** One request of this kind is about to be sent. */
  count(kind: RequestKind): void {
    if (this.#total + 1 > this.#maxRequests - this.#reserve)
      throw new SysbackupError(
        'LIMIT',
        `stopped before a request (${kind}) that would have exceeded the limit of ${this.#maxRequests}`,
        { hint: 'What is stored is kept and used by the next run; allow more with --max-requests.' },
      );
    this.#total += 1;
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }
}
