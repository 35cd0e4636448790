import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import type {
  PutObjectCommandInput,
  PutObjectCommandOutput,
  S3Client,
  S3ClientConfig,
} from '@aws-sdk/client-s3';
import { throwIfAborted } from '../errors.js';
import { AnswerTrust } from './answer-trust.js';
import { verifyBody } from './body.js';
import type { ColdStorage } from './cold.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { REMOVES_VERSION, DoubtfulExtension, DoubtfulPut, judgePut } from './put-answer.js';
import { S3ColdStorage } from './s3-cold.js';
import { RequestLimit } from './request-limit.js';
import { S3Answers } from './s3-answers.js';
import { s3ClientDefaults, type S3Timeouts } from './s3-client.js';
import { addContentMd5, lockInput, retentionOf, saysLockless, saysUnlocked } from './s3-locks.js';
import { sendObject } from './s3-put.js';
import { loadS3Sdk, type S3Sdk } from './s3-sdk.js';
import { NotInTime, s3ErrorName, storeErrorOfS3, type S3Action } from './s3-errors.js';
import { pageOfOutput, parseContinuation, unquoted, type S3Position } from './s3-listing.js';
import { StoreClock, type AsksForTime } from './store-clock.js';
import { StoreError } from './store-error.js';
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
} from './port.js';

/** See `S3Timeouts.answer`. */
const ANSWER_MS = 300_000;

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
  /** Of a client that is made here all of them, else `answer` alone. */
  timeouts?: S3Timeouts | undefined;
  /** Milliseconds for each request until the store has answered once. Default: as later. */
  firstAnswerMs?: number | undefined;
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
    : new sdk.S3Client({ ...s3ClientDefaults(options.timeouts), ...options.client });
  return new S3Store(sdk, client, own, await endpointOf(client), options);
}

/** A bucket of S3 or of a server that speaks it. Each call is one request, sent once. */
export class S3Store implements ObjectStore, AsksForTime {
  readonly description: string;
  readonly identity: string;
  /** Shared with whoever asks where an answer is doubtful. */
  readonly trust = new AnswerTrust();
  readonly #sdk: S3Sdk;
  readonly #client: S3Client;
  readonly #ownClient: boolean;
  readonly #endpoint: string | undefined;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #signal: AbortSignal | undefined;
  readonly #clock: StoreClock;
  readonly #answers: S3Answers;
  readonly #answerMs: number;
  readonly #firstAnswerMs: number | undefined;
  /** The bucket keeps versions: it has Object Lock, or told of some. */
  #hasVersions = false;

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
    this.#answers = new S3Answers(client);
    this.#answerMs = options.timeouts?.answer ?? ANSWER_MS;
    this.#firstAnswerMs = options.firstAnswerMs;
  }

  /** Whether {@link now} needs no request. */
  get knowsTime(): boolean {
    return this.#clock.known;
  }

  get etags(): 'md5' | 'opaque' {
    return this.trust.etags;
  }

  async put(request: PutRequest): Promise<StoredVersion> {
    this.trust.check();
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
    const send = async (abort: AbortOption): Promise<StoredVersion> => {
      try {
        const output = await sendObject({ client: this.#client, sdk: this.#sdk }, input, body, abort);
        return this.#storedBy(output, request);
      } catch (error) {
        // Damaged on the way, it is sent again; wrong from the start, it never gets better.
        if (OTHER_BYTES.has(s3ErrorName(error))) await verifyBody(key, body);
        throw error;
      }
    };
    return this.#request({ doing: 'storing', key, rights }, send, this.#answerMs + body.size);
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && range.end <= range.start) return Readable.from([]);
    const action = { doing: 'reading', key, version, rights: READ_RIGHT, isRead: true };
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
    const action = { doing: 'looking at', key, version, rights: READ_RIGHT, isRead: true };
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

  async list({ prefix, after, continuation, limit, withinMs }: ListRequest): Promise<ListPage> {
    let position: S3Position = {
      ...(after === undefined ? {} : { after, KeyMarker: this.#prefix + after }),
      ...(continuation === undefined ? {} : parseContinuation(continuation)),
    };
    for (;;) {
      const page = await this.#page(prefix, limit, position, withinMs);
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
        const output = await this.#client.send(command, abort);
        this.#heard(output);
        const { Retention } = output;
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
      addContentMd5(command);
      const output = await this.#client.send(command, abort);
      if (this.#answers.of(output)?.isSigned === false)
        throw new DoubtfulExtension(`extending the lock of ${key} in ${this.description}`);
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
        this.#heard(output);
        if (output.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled') {
          this.#hasVersions = true;
          return { objectLock: true, versioning: true };
        }
      } catch (error) {
        if (!saysLockless(error)) throw error;
      }
      return { objectLock: false, versioning: this.#hasVersions };
    });
  }

  async now(prefix = ''): Promise<number> {
    if (!this.#clock.known) await this.#page(prefix, 1, {}, undefined);
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

  async #page(
    prefix: string,
    limit: number | undefined,
    position: S3Position,
    withinMs: number | undefined,
  ): Promise<ListPage> {
    const action = { doing: 'listing', key: prefix, rights: 's3:ListBucketVersions on the bucket' };
    const { after, ...markers } = position;
    const send = async (abort: AbortOption): Promise<ListPage> => {
      const command = new this.#sdk.ListObjectVersionsCommand({
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        EncodingType: 'url',
        ...(limit === undefined ? {} : { MaxKeys: Math.max(1, Math.min(limit, 1000)) }),
        ...markers,
      });
      const output = await this.#client.send(command, abort);
      this.#heard(output);
      const page = pageOfOutput(output, this.#prefix, after);
      if (page.versions.some(({ version }) => version !== 'null')) this.#hasVersions = true;
      return page;
    };
    return this.#request(action, send, Math.min(withinMs ?? Infinity, this.#answerMs));
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  #version(key: string, version: string): { Bucket: string; Key: string; VersionId: string } {
    return { ...this.#object(key), VersionId: version };
  }

  /** The version that a PUT made, as its answer says. Throws where the answer says too little to be believed. */
  #storedBy(output: PutObjectCommandOutput, { key, body, retention }: PutRequest): StoredVersion {
    const { ServerSideEncryption = '', SSECustomerAlgorithm, VersionId = '' } = output;
    const version = VersionId === '' ? undefined : VersionId;
    const answer = {
      etag: unquoted(output.ETag),
      version,
      isEncrypted: ServerSideEncryption.startsWith('aws:kms') || SSECustomerAlgorithm !== undefined,
      isPage: this.#answers.of(output)?.isPage ?? false,
    };
    const { etags, isSuspended } = this.trust;
    const isVersioned = retention !== undefined || (this.#hasVersions && !isSuspended);
    const storing = `storing ${key} in ${this.description}`;
    const verdict = judgePut(answer, { md5: body.md5, isVersioned, etags });
    if (verdict === 'unversioned' && retention !== undefined)
      throw this.trust.refuse(storing, REMOVES_VERSION);
    if (verdict !== 'stored') throw new DoubtfulPut(storing, answer, isVersioned);
    if (answer.isEncrypted) this.trust.etags = 'opaque';
    if (version !== undefined && version !== 'null') this.#hasVersions = true;
    this.#heard(output);
    return { version: version ?? 'null' };
  }

  /** What answered was understood, so its time counts. */
  #heard(output: object): void {
    const time = this.#clock.known ? undefined : this.#answers.timeOf(output);
    if (time !== undefined) this.#clock.heard(time);
  }

  async #request<T>(
    action: S3Action,
    work: (abort: AbortOption) => Promise<T>,
    withinMs = this.#answerMs,
  ): Promise<T> {
    throwIfAborted(this.#signal);
    const first = this.#answers.hasAnswered ? undefined : this.#firstAnswerMs;
    const limitMs = Math.min(withinMs, first ?? Infinity);
    const limit = new RequestLimit(limitMs, this.#signal);
    let answer: T | undefined;
    try {
      answer = await work({ abortSignal: limit.signal });
      return answer;
    } catch (error) {
      throw storeErrorOfS3(limit.expired ? new NotInTime(limitMs) : error, action, {
        store: this.description,
        endpoint: this.#endpoint,
        hasAnswered: this.#answers.hasAnswered,
        aborted: !limit.expired && this.#signal?.aborted === true,
      });
    } finally {
      limit.end(answer);
    }
  }
}

const READ_RIGHT = 's3:GetObjectVersion';

/** What servers answer where the bytes that came are not those of their MD5, or of their signed SHA-256. */
const OTHER_BYTES = new Set(['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch']);

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
