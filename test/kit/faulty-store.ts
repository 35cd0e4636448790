import { Readable } from 'node:stream';
import type { RequestKind } from '#src/events.js';
import type {
  ByteRange,
  ListPage,
  ListRequest,
  ObjectStore,
  PutRequest,
  Retention,
  StoreCapabilities,
  StoredVersion,
  VersionHead,
} from '#src/store/port.js';
import { StoreError } from '#src/store/store-error.js';

/** Something that goes wrong: "the third PUT fails after its effect". */
export interface Fault {
  request: RequestKind;
  /** Which of those requests (that match `key`), from 1. Default: each of them. */
  nth?: number;
  /** Only requests for keys that match. */
  key?: RegExp;
  /**
   * `before`: nothing happened at the store. `after`: it did, and only the answer was lost. `breaking`: a GET's
   * stream breaks after `bytes` bytes.
   */
  when: 'before' | 'after' | 'breaking';
  bytes?: number;
  /** Default: a StoreError that may be retried. */
  error?: () => Error;
}

export interface SeenRequest {
  request: RequestKind;
  key: string;
}

/** A store that fails as told. */
export class FaultyStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  /** What was asked of it, in order. */
  readonly seen: SeenRequest[] = [];
  readonly #inner: ObjectStore;
  readonly #faults: readonly Fault[];
  readonly #matches = new Map<Fault, number>();

  constructor(inner: ObjectStore, faults: readonly Fault[]) {
    this.description = inner.description;
    this.identity = inner.identity;
    this.#inner = inner;
    this.#faults = faults;
  }

  get etags(): ObjectStore['etags'] {
    return this.#inner.etags;
  }

  put(request: PutRequest): Promise<StoredVersion> {
    return this.#do('put', request.key, () => this.#inner.put(request));
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    const fault = this.#faultFor('get', key);
    if (fault?.when === 'before') throw errorOf(fault);
    const stream = await this.#inner.get(key, version, range);
    if (fault?.when !== 'breaking') return stream;
    return Readable.from(breaking(stream, fault));
  }

  head(key: string, version: string): Promise<VersionHead> {
    return this.#do('head', key, () => this.#inner.head(key, version));
  }

  list(request: ListRequest): Promise<ListPage> {
    return this.#do('list', request.prefix, () => this.#inner.list(request));
  }

  getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.#do('get-retention', key, () => this.#inner.getRetention(key, version));
  }

  extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    return this.#do('put-retention', key, () => this.#inner.extendRetention(key, version, retention));
  }

  capabilities(): Promise<StoreCapabilities> {
    return this.#do('get-bucket-configuration', '', () => this.#inner.capabilities());
  }

  now(prefix?: string): Promise<number> {
    return this.#inner.now(prefix);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #do<T>(request: RequestKind, key: string, work: () => Promise<T>): Promise<T> {
    const fault = this.#faultFor(request, key);
    if (fault?.when === 'before') throw errorOf(fault);
    const result = await work();
    if (fault?.when === 'after') throw errorOf(fault);
    return result;
  }

  #faultFor(request: RequestKind, key: string): Fault | undefined {
    this.seen.push({ request, key });
    let found: Fault | undefined;
    for (const fault of this.#faults) {
      if (fault.request !== request || fault.key?.test(key) === false) continue;
      const count = (this.#matches.get(fault) ?? 0) + 1;
      this.#matches.set(fault, count);
      if (fault.nth === undefined || fault.nth === count) found ??= fault;
    }
    return found;
  }
}

async function* breaking(stream: Readable, fault: Fault): AsyncGenerator<Buffer> {
  let left = fault.bytes ?? 0;
  for await (const chunk of stream) {
    const bytes = (chunk as Buffer).subarray(0, left);
    left -= bytes.length;
    if (bytes.length > 0) yield bytes;
    if (left === 0) break;
  }
  throw fault.error?.() ?? Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}

function errorOf(fault: Fault): Error {
  return fault.error?.() ?? new StoreError('STORE_FAILED', 'a fault that was asked for', { retryable: true });
}
