import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import {
  type ByteRange,
  type ListedVersion,
  type ListPage,
  type ListRequest,
  type ObjectStore,
  type PutRequest,
  type RequestCounts,
  type RequestKind,
  type Retention,
  type StoreCapabilities,
  type StoredVersion,
  SysbackupError,
  type VersionHead,
} from '#src/index.js';

interface Held extends VersionHead {
  key: string;
  version: string;
  /** Of manifests, which are read again; the rest is only counted. */
  bytes: Buffer | undefined;
}

/**
 * A bucket of the public port whose clock is set by hand, so that a year takes minutes. It counts requests, keeps locks,
 * and forgets what lies in it but for manifests.
 */
export class SimulatedStore implements ObjectStore {
  readonly description = 'a simulated bucket';
  readonly identity = 'simulated';
  /** As of a bucket: what must not be lost is listed after it was put. */
  readonly etags = 'md5';
  /** Milliseconds since the epoch. */
  time: number;
  readonly #held = new Map<string, Held>();
  #keys: string[] | undefined;
  #versions = 0;
  #counts: RequestCounts = {};

  constructor(time: number) {
    this.time = time;
  }

  /** Requests since the last call. */
  takeRequests(): RequestCounts {
    const taken = this.#counts;
    this.#counts = {};
    return taken;
  }

  async put({ key, body, retention, metadata = {} }: PutRequest): Promise<StoredVersion> {
    this.#count('put');
    this.#versions += 1;
    const version = String(this.#versions);
    // Every key is stored once here: manifests and bundles have keys of their own.
    if (this.#held.has(key)) throw new SysbackupError('STORE_FAILED', `${key} is stored a second time`);
    this.#held.set(key, {
      key,
      version,
      size: body.size,
      etag: body.md5,
      metadata,
      retention,
      received: this.time,
      storageClass: undefined,
      bytes: key.startsWith('manifests/') ? await bytesOf(body) : undefined,
    });
    this.#keys = undefined;
    return { version };
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    this.#count('get');
    const { bytes } = this.#find(key, version);
    if (bytes === undefined) throw new SysbackupError('STORE_FAILED', `${key} was counted, not kept`);
    return Readable.from([range === undefined ? bytes : bytes.subarray(range.start, range.end)]);
  }

  async head(key: string, version: string): Promise<VersionHead> {
    this.#count('head');
    return this.#find(key, version);
  }

  async list({ prefix, after = '', continuation = '', limit = 1000 }: ListRequest): Promise<ListPage> {
    this.#count('list');
    this.#keys ??= [...this.#held.keys()].sort();
    const from = after > continuation ? after : continuation;
    const keys = this.#keys.filter((key) => key.startsWith(prefix) && key > from);
    const page = keys.slice(0, limit);
    return {
      versions: page.map((key) => this.#listed(key)),
      next: keys.length > limit ? page.at(-1) : undefined,
    };
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    this.#count('get-retention');
    return this.#find(key, version).retention;
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    this.#count('put-retention');
    const held = this.#find(key, version);
    if (held.retention !== undefined && held.retention.until > retention.until)
      throw new SysbackupError('ACCESS_DENIED', `${key} is locked longer already`);
    held.retention = retention;
  }

  async capabilities(): Promise<StoreCapabilities> {
    this.#count('get-bucket-configuration');
    return { objectLock: true, versioning: true };
  }

  async now(): Promise<number> {
    return this.time;
  }

  async close(): Promise<void> {}

  /** What is locked no longer is gone, as by a bucket's lifecycle. */
  removeLapsed(): void {
    for (const [key, { retention }] of this.#held)
      if (retention === undefined || retention.until * 1000 < this.time) this.#held.delete(key);
    this.#keys = undefined;
  }

  #find(key: string, version: string): Held {
    const held = this.#held.get(key);
    if (held === undefined || held.version !== version)
      throw new SysbackupError('NOT_FOUND', `there is no ${key} of version ${version}`);
    return held;
  }

  #listed(key: string): ListedVersion {
    const held = this.#held.get(key);
    if (held === undefined) throw new SysbackupError('NOT_FOUND', `there is no ${key}`);
    const { version, size, etag, received, storageClass } = held;
    return { key, version, size, etag, received, storageClass, isLatest: true, deleteMarker: false };
  }

  #count(kind: RequestKind): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }
}

async function bytesOf(body: PutRequest['body']): Promise<Buffer> {
  if ('bytes' in body) return Buffer.from(body.bytes);
  const parts: Uint8Array[] = [];
  for (const piece of body.pieces)
    if (piece instanceof Uint8Array) parts.push(piece);
    else
      for await (const chunk of createReadStream(piece.path, { start: piece.start, end: piece.end - 1 }))
        parts.push(chunk as Buffer);
  return Buffer.concat(parts);
}
