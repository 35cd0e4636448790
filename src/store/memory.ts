import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { verifiedChunks } from './body.js';
import { ListingCursors } from './listing-cursors.js';
import { refusalOfExtension } from './lock-rules.js';
import { isLocked, MemoryBucket, type MemoryVersion } from './memory-bucket.js';
import { lifecycleNight, type LifecycleRules } from './memory-lifecycle.js';
import { compareKeys } from './key-order.js';
import { noSuchVersion, StoreError } from './store-error.js';
import type {
  ByteRange,
  ListedVersion,
  ListPage,
  ListRequest,
  ObjectStore,
  PutRequest,
  Retention,
  StoreCapabilities,
  StoredVersion,
  VersionHead,
} from './port.js';

export interface MemoryStoreOptions {
  /** The store's time in milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
  /** Whether the bucket has Object Lock (and with it versioning). Default true. */
  objectLock?: boolean;
  /** Default `memory`. */
  name?: string;
}

export interface ForeignPut {
  key: string;
  bytes: Uint8Array;
  retention?: Retention;
  metadata?: Readonly<Record<string, string>>;
  /** What a listing shows. Default: MD5 of the bytes. Others: SSE-KMS, multipart uploads. */
  etag?: string;
  storageClass?: string;
}

/**
 * A bucket in memory that keeps versions and enforces locks as S3 does. For tests, also of programs that use this
 * library; beside the port it has what others can do to a bucket: see {@link putForeign}, {@link deleteVersion},
 * {@link addDeleteMarker} and {@link passNight}.
 */
export class MemoryStore implements ObjectStore {
  readonly description: string;
  readonly identity: string;
  readonly #bucket = new MemoryBucket();
  readonly #cursors: ListingCursors<{ key: string; version: string }>;
  readonly #now: () => number;
  readonly #objectLock: boolean;

  constructor(options: MemoryStoreOptions = {}) {
    this.#now = options.now ?? (() => Date.now());
    this.#objectLock = options.objectLock ?? true;
    this.description = options.name ?? 'memory';
    this.identity = `memory:${this.description}`;
    this.#cursors = new ListingCursors(
      (range) => this.#rows(range),
      ({ key, version }) => ({ key, version }),
    );
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    const { key, body, retention } = request;
    if (retention !== undefined) this.#checkNewLock(key, retention);
    const chunks: Uint8Array[] = [];
    for await (const chunk of verifiedChunks(key, body)) chunks.push(Buffer.from(chunk));
    return this.#push({
      key,
      bytes: Buffer.concat(chunks),
      etag: body.md5,
      metadata: request.metadata ?? {},
      storageClass: request.storageClass,
      retention,
    });
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    const { bytes } = this.#find(key, version);
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end);
    return Readable.from(part.length > 0 ? [Buffer.from(part)] : []);
  }

  async head(key: string, version: string): Promise<VersionHead> {
    const { bytes, etag, metadata, retention, received, storageClass } = this.#find(key, version);
    return {
      size: bytes.length,
      etag,
      metadata: { ...metadata },
      retention: retention && { ...retention },
      received,
      storageClass,
    };
  }

  async list(request: ListRequest): Promise<ListPage> {
    return this.#cursors.page(request);
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    const { retention } = this.#find(key, version);
    return retention && { ...retention };
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    const found = this.#find(key, version);
    this.#checkNewLock(key, retention);
    const current = isLocked(found, this.#now()) ? found.retention : undefined;
    // Another mode changes the lock, which takes the right to bypass, even where it is the stricter one.
    const refusal =
      refusalOfExtension(current, retention) ??
      (current !== undefined && current.mode !== retention.mode ? 'its lock is in another mode' : undefined);
    if (refusal !== undefined)
      throw new StoreError(
        'ACCESS_DENIED',
        `the lock of ${key} in ${this.description} was not changed: ${refusal}`,
      );
    found.retention = { ...retention };
  }

  async capabilities(): Promise<StoreCapabilities> {
    return { objectLock: this.#objectLock, versioning: true };
  }

  async now(): Promise<number> {
    return this.#now();
  }

  async close(): Promise<void> {}

  /** What another user with the right to add can do: any bytes under any key, locked or not. */
  putForeign(put: ForeignPut): StoredVersion {
    if (put.retention !== undefined) this.#checkNewLock(put.key, put.retention);
    const bytes = Buffer.from(put.bytes);
    return this.#push({
      key: put.key,
      bytes,
      etag: put.etag ?? createHash('md5').update(bytes).digest('hex'),
      metadata: put.metadata ?? {},
      storageClass: put.storageClass,
      retention: put.retention,
    });
  }

  /**
   * Deletes one version for good. A locked one is refused (`ACCESS_DENIED`), unless it is in GOVERNANCE mode and
   * `bypassGovernance` is set.
   */
  deleteVersion(key: string, version: string, options: { bypassGovernance?: boolean } = {}): void {
    const found = this.#bucket.find(key, version);
    if (found === undefined) return;
    const bypassed = options.bypassGovernance === true && found.retention?.mode === 'GOVERNANCE';
    if (isLocked(found, this.#now()) && !bypassed)
      throw new StoreError('ACCESS_DENIED', `${key} in ${this.description} is locked`);
    this.#bucket.remove(found);
  }

  /** What a DELETE without a version does: always allowed, hides what is below, destroys nothing. */
  addDeleteMarker(key: string): StoredVersion {
    const version = this.#bucket.freshVersionId();
    this.#bucket.push({
      key,
      version,
      bytes: Buffer.alloc(0),
      etag: undefined,
      metadata: {},
      storageClass: undefined,
      deleteMarker: true,
      received: this.#now(),
      retention: undefined,
    });
    return { version };
  }

  /** Lifecycle's work of one night, at the store's present time. */
  passNight(rules: LifecycleRules): void {
    lifecycleNight(this.#bucket, rules, this.#now(), (key) => this.addDeleteMarker(key));
  }

  #push(parts: Omit<MemoryVersion, 'version' | 'deleteMarker' | 'received'>): StoredVersion {
    const version = this.#bucket.freshVersionId();
    const metadata = Object.fromEntries(
      Object.entries(parts.metadata).map(([key, text]) => [key.toLowerCase(), text]),
    );
    const retention = parts.retention && { ...parts.retention };
    this.#bucket.push({ ...parts, metadata, retention, version, deleteMarker: false, received: this.#now() });
    return { version };
  }

  #find(key: string, version: string): MemoryVersion {
    const found = this.#bucket.find(key, version);
    if (found === undefined || found.deleteMarker) throw noSuchVersion(this.description, key, version);
    return found;
  }

  #checkNewLock(key: string, retention: Retention): void {
    if (!this.#objectLock)
      throw new StoreError('STORE_FAILED', `${key} cannot be locked: ${this.description} has no Object Lock`);
    if (!Number.isInteger(retention.until) || retention.until * 1000 <= this.#now())
      throw new StoreError(
        'STORE_FAILED',
        `the lock for ${key} in ${this.description} must end in the future`,
      );
  }

  async *#rows(range: {
    prefix: string;
    after?: string | undefined;
    position?: { key: string; version: string } | undefined;
  }): AsyncGenerator<ListedVersion> {
    const { prefix, after, position } = range;
    for (const key of this.#bucket.keys()) {
      if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue;
      if (position !== undefined && compareKeys(key, position.key) < 0) continue;
      const stack = this.#bucket.versionsOf(key);
      const passed =
        position?.key === key ? stack.findIndex(({ version }) => version === position.version) + 1 : 0;
      for (const [index, found] of stack.entries())
        if (index >= passed) yield { ...rowOf(found), isLatest: index === 0 };
    }
  }
}

function rowOf(found: MemoryVersion): Omit<ListedVersion, 'isLatest'> {
  const { key, version, bytes, etag, received, deleteMarker, storageClass } = found;
  return { key, version, size: bytes.length, etag, received, deleteMarker, storageClass };
}
