import type { Readable } from 'node:stream';
import { messageOf, SysbackupError } from '../errors.js';
import type { AnswerTrust } from './answer-trust.js';
import {
  type ByteRange,
  listAll,
  type ListedVersion,
  type ListPage,
  type ListRequest,
  type ObjectStore,
  type PutRequest,
  type Retention,
  type StoreCapabilities,
  type StoredVersion,
  type VersionHead,
} from './port.js';
import { DoubtfulExtension, DoubtfulPut, REMOVES_VERSION } from './put-answer.js';
import { repeatRequest, type RetryOptions } from './retry.js';
import { StoreError } from './store-error.js';

/**
 * A store behind a network that asks where an answer cannot be believed: a listing after a PUT, the lock itself after an
 * extension. What turns out not to have been done is sent again. To be put above what repeats requests, by which the
 * questions go.
 */
export function confirmAnswers(inner: ObjectStore, trust: AnswerTrust, options: RetryOptions): ObjectStore {
  return new ConfirmedStore(inner, trust, options);
}

/** Not done, as the store itself says: worth sending again. */
class NotDone extends StoreError {}

class ConfirmedStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly localRoot: string | undefined;
  readonly #inner: ObjectStore;
  readonly #trust: AnswerTrust;
  readonly #options: RetryOptions;
  /** One question at a time: what the first learns of the store's ETags answers the others. */
  #judging: Promise<unknown> = Promise.resolve();
  #saidUnlisted = false;

  constructor(inner: ObjectStore, trust: AnswerTrust, options: RetryOptions) {
    this.description = inner.description;
    this.identity = inner.identity;
    this.localRoot = inner.localRoot;
    this.#inner = inner;
    this.#trust = trust;
    this.#options = options;
  }

  get etags(): ObjectStore['etags'] {
    return this.#inner.etags;
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    return await this.#sure(
      'put',
      request.key,
      () => this.#inner.put(request),
      (error) => (error instanceof DoubtfulPut ? this.#inTurn(() => this.#judge(request, error)) : undefined),
    );
  }

  get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    return this.#inner.get(key, version, range);
  }

  head(key: string, version: string): Promise<VersionHead> {
    return this.#inner.head(key, version);
  }

  list(request: ListRequest): Promise<ListPage> {
    return this.#inner.list(request);
  }

  getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.#inner.getRetention(key, version);
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    await this.#sure(
      'put-retention',
      key,
      () => this.#inner.extendRetention(key, version, retention),
      (error) => (error instanceof DoubtfulExtension ? this.#seeLock(key, version, retention) : undefined),
    );
  }

  capabilities(): Promise<StoreCapabilities> {
    return this.#inner.capabilities();
  }

  now(prefix?: string): Promise<number> {
    return this.#inner.now(prefix);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** @param settle what became of it, where the error is a doubt; undefined where it is none */
  async #sure<T>(
    kind: 'put' | 'put-retention',
    key: string,
    send: () => Promise<T>,
    settle: (error: unknown) => Promise<T> | undefined,
  ): Promise<T> {
    const attempt = async (): Promise<T> => {
      try {
        return await send();
      } catch (error) {
        const settled = settle(error);
        if (settled === undefined) throw error;
        return await settled;
      }
    };
    return await repeatRequest(this.#options, kind, key, attempt, (error) => error instanceof NotDone);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#judging.then(work);
    this.#judging = turn.catch(() => undefined);
    return await turn;
  }

  /** Which version the PUT made, by a listing of its key. */
  async #judge({ key, body }: PutRequest, doubt: DoubtfulPut): Promise<StoredVersion> {
    const { etag, version = 'null', isPage } = doubt.answer;
    const isWhole =
      etag !== undefined && !isPage && (doubt.answer.version !== undefined || !doubt.isVersioned);
    this.#trust.check();
    // Another one has asked meanwhile.
    if (isWhole && this.#trust.etags === 'opaque') return { version };
    if (doubt.answer.version === undefined && this.#trust.isSuspended && etag?.toLowerCase() === body.md5)
      return { version };
    const rows = await this.#versionsOf(key, body.size, isWhole);
    if (rows === undefined) return { version };
    const own = rows.find((row) => row.version === version && row.etag === etag);
    if (own !== undefined && etag !== undefined && !isPage) {
      if (etag.toLowerCase() === body.md5) this.#trust.isSuspended = true;
      else this.#foundOpaque();
      return { version };
    }
    const storing = `storing ${key} in ${this.description}`;
    // It was stored all right, so that the answer is what is wrong.
    const isThere = rows.some((row) => row.etag === body.md5 || (etag !== undefined && row.etag === etag));
    if (isThere && doubt.answer.version === undefined && etag !== undefined && !isPage)
      throw this.#trust.refuse(storing, REMOVES_VERSION);
    if (isThere)
      throw this.#trust.refuse(storing, 'something between here and the store changes its answers');
    throw new NotDone('STORE_FAILED', `${doubt.message}, and a listing does not show it`, {
      retryable: true,
      hint: 'Something between here and the store answers in its place: a login page of the network, a proxy?',
    });
  }

  /** Undefined where a key that looks right otherwise may not be listed: then it must do. */
  async #versionsOf(key: string, size: number, isWhole: boolean): Promise<ListedVersion[] | undefined> {
    const rows: ListedVersion[] = [];
    try {
      for await (const row of listAll(this.#inner, { prefix: key }))
        if (row.key === key && !row.deleteMarker && row.size === size) rows.push(row);
    } catch (error) {
      const isRefused = error instanceof SysbackupError && error.code === 'ACCESS_DENIED';
      if (!isRefused || !isWhole) throw error;
      if (!this.#saidUnlisted) {
        const message = `whether ${key} was stored cannot be seen, since its ETag is no MD5 sum: ${messageOf(error)}`;
        this.#options.listener?.({ type: 'log', level: 'warning', message });
      }
      this.#saidUnlisted = true;
      return undefined;
    }
    return rows;
  }

  #foundOpaque(): void {
    this.#trust.etags = 'opaque';
    const message = `the ETags of ${this.description} are no MD5 sums: they are not compared`;
    this.#options.listener?.({ type: 'log', level: 'info', message });
  }

  async #seeLock(key: string, version: string, wanted: Retention): Promise<void> {
    const held = await this.#inner.getRetention(key, version);
    const isStrict = held?.mode === wanted.mode || held?.mode === 'COMPLIANCE';
    if (held !== undefined && isStrict && held.until >= wanted.until) return;
    throw new NotDone(
      'STORE_FAILED',
      `extending the lock of ${key} in ${this.description} was answered, and is not done`,
      { retryable: true },
    );
  }
}
