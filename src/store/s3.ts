import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import type {
  ObjectLockRetentionMode,
  PutObjectCommandInput,
  S3Client,
  S3ClientConfig,
} from '@aws-sdk/client-s3';
import { throwIfAborted } from '../errors.js';
import { bodyChunks, verifyBody } from './body.js';
import type { ColdStorage } from './cold.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { S3ColdStorage } from './s3-cold.js';
import { listenForDates, s3ClientDefaults } from './s3-client.js';
import { loadS3Sdk, type S3Sdk } from './s3-sdk.js';
import { s3ErrorName, storeErrorOfS3, type S3Action } from './s3-errors.js';
import { pageOfOutput, parseContinuation, unquoted, type S3Position } from './s3-listing.js';
import { StoreClock, type AsksForTime } from './store-clock.js';
import { StoreError } from './store-error.js';
import type {
  ByteRange,
  ListPage,
  ListRequest,
  ObjectBody,
  ObjectStore,
  PutRequest,
  Retention,
  StoreCapabilities,
  StoredVersion,
  VersionHead,
} from './port.js';

interface AbortOption {
  abortSignal?: AbortSignal;
}

export interface S3StoreOptions {
  bucket: string;
  /** Before every key; empty, or ends in `/`. Default empty. */
  prefix?: string;
  /**
   * A client made with {@link s3ClientDefaults} (the caller destroys it), or what one is to be made from: those
   * defaults are added, and it is destroyed with the store.
   */
  client: S3Client | S3ClientConfig;
  /** Stops requests under way. */
  signal?: AbortSignal;
  clock?: StoreClock;
}

/** Opens a bucket. Sends no request. Loads the SDK, which takes about 60 ms. */
export async function openS3Store(options: S3StoreOptions): Promise<S3Store> {
  const sdk = loadS3Sdk();
  const own = !isClient(options.client);
  const client = isClient(options.client)
    ? options.client
    : new sdk.S3Client({ ...s3ClientDefaults(), ...options.client });
  return new S3Store(sdk, client, own, await endpointOf(client), options);
}

/** A bucket of S3 or of a server that speaks it. Each call is one request, sent once. */
export class S3Store implements ObjectStore, AsksForTime {
  readonly description: string;
  readonly identity: string;
  readonly #sdk: S3Sdk;
  readonly #client: S3Client;
  readonly #ownClient: boolean;
  readonly #endpoint: string | undefined;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #signal: AbortSignal | undefined;
  readonly #clock: StoreClock;
  #sawVersions = false;

  constructor(
    sdk: S3Sdk,
    client: S3Client,
    ownClient: boolean,
    endpoint: string | undefined,
    options: S3StoreOptions,
  ) {
    this.#sdk = sdk;
    this.#client = client;
    this.#ownClient = ownClient;
    this.#endpoint = endpoint;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix ?? '';
    this.#signal = options.signal;
    // Each request under way listens, and there may be as many as there are sockets.
    if (options.signal !== undefined) setMaxListeners(0, options.signal);
    this.#clock = options.clock ?? new StoreClock();
    this.description = `s3://${this.#bucket}${this.#prefix === '' ? '' : `/${this.#prefix.replace(/\/$/, '')}`}`;
    // On AWS a bucket's name is nobody else's; elsewhere the endpoint says whose bucket it is.
    this.identity = `s3:${endpoint ?? 'aws'}/${this.#bucket}/${this.#prefix}`;
    listenForDates(client, (time) => this.#clock.heard(time));
  }

  /** Whether {@link now} needs no request. */
  get knowsTime(): boolean {
    return this.#clock.known;
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    const { key, body, retention, metadata, storageClass } = request;
    const rights = retention === undefined ? 's3:PutObject' : 's3:PutObject and s3:PutObjectRetention';
    const input: PutObjectCommandInput = {
      ...this.#object(key),
      ContentLength: body.size,
      ContentMD5: Buffer.from(body.md5, 'hex').toString('base64'),
      ...(retention === undefined ? {} : lockInput(retention)),
      ...(metadata === undefined ? {} : { Metadata: encodeMetadata(metadata) }),
      ...(storageClass === undefined
        ? {}
        : { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> }),
    };
    return this.#request({ doing: 'storing', key, rights }, async (abort) => {
      try {
        const output = await this.#send(input, body, abort);
        const version = output.VersionId ?? 'null';
        if (version !== 'null') this.#sawVersions = true;
        return { version };
      } catch (error) {
        // Damaged on the way, it is sent again; wrong from the start, it never gets better.
        if (OTHER_BYTES.has(s3ErrorName(error))) await verifyBody(key, body);
        throw error;
      }
    });
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && range.end <= range.start) return Readable.from([]);
    const action = { doing: 'reading', key, version, rights: 's3:GetObjectVersion' };
    return this.#request(action, async (abort) => {
      const command = new this.#sdk.GetObjectCommand({
        ...this.#version(key, version),
        ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
      });
      const { Body } = await this.#client.send(command, abort);
      if (Body instanceof Readable) return Body;
      throw new StoreError('STORE_FAILED', `${this.description} gave no bytes for ${key}`, {
        retryable: true,
      });
    });
  }

  async head(key: string, version: string): Promise<VersionHead> {
    const action = { doing: 'looking at', key, version, rights: 's3:GetObjectVersion' };
    return this.#request(action, async (abort) => {
      const command = new this.#sdk.HeadObjectCommand(this.#version(key, version));
      const output = await this.#client.send(command, abort);
      return {
        size: output.ContentLength ?? 0,
        etag: unquoted(output.ETag),
        metadata: decodeMetadata(output.Metadata ?? {}),
        retention: retentionOf(output.ObjectLockMode, output.ObjectLockRetainUntilDate),
        received: output.LastModified?.getTime() ?? 0,
        storageClass: output.StorageClass,
      };
    });
  }

  async list({ prefix, after, continuation, limit }: ListRequest): Promise<ListPage> {
    let position: S3Position = {
      ...(after === undefined ? {} : { after, KeyMarker: this.#prefix + after }),
      ...(continuation === undefined ? {} : parseContinuation(continuation)),
    };
    for (;;) {
      const page = await this.#page(prefix, limit, position);
      // Empty because of an inclusive marker (Ceph), and not because there is no more.
      if (page.versions.length > 0 || page.next === undefined) return page;
      position = parseContinuation(page.next);
    }
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    const action = { doing: 'reading the lock of', key, version, rights: 's3:GetObjectRetention' };
    return this.#request(action, async (abort) => {
      try {
        const command = new this.#sdk.GetObjectRetentionCommand(this.#version(key, version));
        const { Retention } = await this.#client.send(command, abort);
        return retentionOf(Retention?.Mode, Retention?.RetainUntilDate);
      } catch (error) {
        if (saysUnlocked(error)) return undefined;
        throw error;
      }
    });
  }

  async extendRetention(key: string, version: string, retention: Retention): Promise<void> {
    const rights = 's3:PutObjectRetention, and a lock that is neither longer nor stricter already';
    await this.#request({ doing: 'extending the lock of', key, version, rights }, async (abort) => {
      const command = new this.#sdk.PutObjectRetentionCommand({
        ...this.#version(key, version),
        Retention: { Mode: retention.mode, RetainUntilDate: new Date(retention.until * 1000) },
      });
      // AWS wants a checksum of this request; MD5 is the one that every S3-compatible server knows.
      command.middlewareStack.add(
        (next) => (args) => {
          const { headers, body } = args.request as { headers: Record<string, string>; body: unknown };
          for (const name of Object.keys(headers))
            if (/^x-amz-(sdk-)?checksum-/i.test(name)) delete headers[name];
          headers['content-md5'] = createHash('md5').update(String(body)).digest('base64');
          return next(args);
        },
        { step: 'build', priority: 'low', name: 'sysbackupContentMd5' },
      );
      await this.#client.send(command, abort);
    });
  }

  /**
   * Whether the bucket has Object Lock, which includes versioning. Without it, versioning is told from the version
   * ids in earlier answers, and is false where there were none.
   */
  async capabilities(): Promise<StoreCapabilities> {
    const rights = 's3:GetBucketObjectLockConfiguration on the bucket';
    return this.#request({ doing: 'asking for Object Lock', rights }, async (abort) => {
      try {
        const command = new this.#sdk.GetObjectLockConfigurationCommand({ Bucket: this.#bucket });
        const output = await this.#client.send(command, abort);
        if (output.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled')
          return { objectLock: true, versioning: true };
      } catch (error) {
        if (!LOCKLESS_BUCKET.has(s3ErrorName(error))) throw error;
      }
      return { objectLock: false, versioning: this.#sawVersions };
    });
  }

  async now(): Promise<number> {
    if (!this.#clock.known) {
      try {
        await this.list({ prefix: '', limit: 1 });
      } catch (error) {
        // A refusal carries the time as well.
        if (!this.#clock.known) throw error;
      }
    }
    const now = this.#clock.now();
    if (now === undefined)
      throw new StoreError('STORE_UNSUITABLE', `${this.description} does not say what time it is`, {
        hint: 'Its answers carry no Date header; is there a proxy that removes it?',
      });
    return now;
  }

  /** What only a bucket has: objects that must be thawed. */
  cold(): ColdStorage {
    return new S3ColdStorage({
      sdk: this.#sdk,
      client: this.#client,
      place: (key, version) => this.#version(key, version),
      request: (action, work) => this.#request(action, work),
    });
  }

  async close(): Promise<void> {
    if (this.#ownClient) this.#client.destroy();
  }

  async #page(prefix: string, limit: number | undefined, position: S3Position): Promise<ListPage> {
    const action = { doing: 'listing', key: prefix, rights: 's3:ListBucketVersions on the bucket' };
    const { after, ...markers } = position;
    return this.#request(action, async (abort) => {
      const command = new this.#sdk.ListObjectVersionsCommand({
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        EncodingType: 'url',
        ...(limit === undefined ? {} : { MaxKeys: Math.max(1, Math.min(limit, 1000)) }),
        ...markers,
      });
      const page = pageOfOutput(await this.#client.send(command, abort), this.#prefix, after);
      if (page.versions.some(({ version }) => version !== 'null')) this.#sawVersions = true;
      return page;
    });
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  #version(key: string, version: string): { Bucket: string; Key: string; VersionId: string } {
    return { ...this.#object(key), VersionId: version };
  }

  async #send(
    input: PutObjectCommandInput,
    body: ObjectBody,
    abort: AbortOption,
  ): Promise<{ VersionId?: string | undefined }> {
    if ('bytes' in body) {
      const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.length);
      return this.#client.send(new this.#sdk.PutObjectCommand({ ...input, Body: bytes }), abort);
    }
    // The SDK does not look at the errors of a stream that it sends.
    const broken = new AbortController();
    let failure: unknown;
    const stream = Readable.from(bodyChunks(body), { objectMode: false });
    stream.on('error', (error) => {
      failure = error;
      broken.abort();
    });
    try {
      return await this.#client.send(new this.#sdk.PutObjectCommand({ ...input, Body: stream }), {
        abortSignal:
          abort.abortSignal === undefined
            ? broken.signal
            : AbortSignal.any([abort.abortSignal, broken.signal]),
      });
    } catch (error) {
      throw failure ?? error;
    } finally {
      stream.destroy();
    }
  }

  async #request<T>(action: S3Action, work: (abort: AbortOption) => Promise<T>): Promise<T> {
    throwIfAborted(this.#signal);
    const answeredBefore = this.#clock.known;
    try {
      return await work(this.#signal === undefined ? {} : { abortSignal: this.#signal });
    } catch (error) {
      throw storeErrorOfS3(error, action, {
        store: this.description,
        endpoint: this.#endpoint,
        answeredBefore,
        aborted: this.#signal?.aborted ?? false,
      });
    }
  }
}

/** What servers answer where the bytes that came are not those of their MD5, or of their signed SHA-256. */
const OTHER_BYTES = new Set(['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch']);

/** What servers answer where a bucket has no Object Lock, or where they do not know it at all. */
const LOCKLESS_BUCKET = new Set([
  'ObjectLockConfigurationNotFoundError',
  'ObjectLockConfigurationNotFound',
  'NotImplemented',
]);

/** What servers answer of a version without a lock: the second is Ceph's, also where the bucket locks. */
const UNLOCKED = new Set(['NoSuchObjectLockConfiguration', 'ObjectLockConfigurationNotFoundError']);

function saysUnlocked(error: unknown): boolean {
  const name = s3ErrorName(error);
  if (name !== undefined && UNLOCKED.has(name)) return true;
  return name === 'InvalidRequest' && error instanceof Error && /object lock/i.test(error.message);
}

function lockInput({ mode, until }: Retention): Partial<PutObjectCommandInput> {
  return { ObjectLockMode: mode, ObjectLockRetainUntilDate: new Date(until * 1000) };
}

function retentionOf(
  mode: ObjectLockRetentionMode | string | undefined,
  until: Date | undefined,
): Retention | undefined {
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || until === undefined) return undefined;
  return { mode, until: Math.floor(until.getTime() / 1000) };
}

function isClient(client: S3Client | S3ClientConfig): client is S3Client {
  return 'send' in client && 'middlewareStack' in client;
}

/** The endpoint that the client was given; undefined where AWS's own rules find it. */
async function endpointOf(client: S3Client): Promise<string | undefined> {
  const { endpoint, isCustomEndpoint } = client.config;
  if (endpoint === undefined || isCustomEndpoint === false) return undefined;
  const { protocol, hostname, port, path } = await endpoint();
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path.replace(/\/$/, '')}`;
}
