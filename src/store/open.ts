import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { RequestCounts } from '../events.js';
import { withAdaptiveConcurrency } from './adaptive-store.js';
import type { AnswerTrust } from './answer-trust.js';
import type { ColdStorage } from './cold.js';
import { confirmAnswers } from './confirmed-store.js';
import { CountingStore, type CountingOptions } from './counting.js';
import { repeatRequest, retryRequests, type RetryOptions } from './retry.js';
import type { S3Timeouts } from './s3-client.js';
import type { ObjectStore } from './port.js';

/** Where objects go, with everything that is needed to get there. */
export type StoreDestination =
  | {
      kind: 'directory';
      path: string;
      /** What its marker says, for who has read it. Default: it is read; reading needs none, storing does. */
      id?: string | undefined;
      /** Whether a directory that does not exist counts as an empty store, for a look at what a run would do. Default false. */
      mayBeAbsent?: boolean;
    }
  | {
      kind: 's3';
      bucket: string;
      /** Before every key; empty, or ends in `/`. Default empty. */
      prefix?: string;
      /** A client made with `s3ClientDefaults`, or what one is to be made from. */
      client: S3Client | S3ClientConfig;
    };

export interface OpenStoreOptions extends CountingOptions, RetryOptions {
  /** Of a bucket. */
  timeouts?: S3Timeouts | undefined;
  /** Milliseconds since the epoch, for a directory whose file system cannot be asked. Default `Date.now`. */
  machineTime?: () => number;
}

export interface OpenedStore {
  /** Repeats what may pass, counts each attempt, sends as many at once as the store takes. */
  store: ObjectStore;
  /** Undefined where the store has no objects that must be thawed. Repeats and counts as `store` does. */
  cold: ColdStorage | undefined;
  /** What has been sent so far. */
  requests(): RequestCounts;
  /** Lets the requests be sent that `reserve` kept for the end. */
  useReserve(): void;
}

/** All that are put at the same time become durable by one call, which takes long: more than sockets can be worth it. */
const DIRECTORY_BOUNDS = { first: 64, most: 256 };

/**
 * Opens a store. Throws `NOT_FOUND` for a directory that is not there; a bucket is first asked by the first request.
 * Whether a directory is the store that it should be, who stores in it has decided before (admit-directory.ts).
 */
export async function openStore(
  destination: StoreDestination,
  options: OpenStoreOptions = {},
): Promise<OpenedStore> {
  const { signal, monotonic } = options;
  const plain = await openPlain(destination, options);
  const counting = new CountingStore(plain, options);
  const bounds = destination.kind === 'directory' ? DIRECTORY_BOUNDS : {};
  const adaptive = withAdaptiveConcurrency(counting, { signal, monotonic, ...bounds });
  const repeating = retryRequests(adaptive, { ...options, resumeReads: destination.kind === 's3' });
  return {
    cold: 'cold' in plain ? coldThrough(plain.cold(), counting, options) : undefined,
    store: 'trust' in plain ? confirmAnswers(repeating, plain.trust, options) : repeating,
    requests: () => counting.requests,
    useReserve: () => counting.useReserve(),
  };
}

function coldThrough(cold: ColdStorage, counting: CountingStore, options: OpenStoreOptions): ColdStorage {
  return {
    thaw: (key, version, request) =>
      repeatRequest(options, 'thaw', key, () => {
        counting.count('thaw');
        return cold.thaw(key, version, request);
      }),
  };
}

/** Either kind is loaded only where it is used: the SDK takes 100 ms, system calls take 12. */
async function openPlain(
  destination: StoreDestination,
  options: OpenStoreOptions,
): Promise<ObjectStore | (ObjectStore & { cold(): ColdStorage; trust: AnswerTrust })> {
  if (destination.kind === 'directory') {
    const { openDirectoryStore } = await import('./directory.js');
    const { path, id, mayBeAbsent = false } = destination;
    const { machineTime } = options;
    const time = machineTime === undefined ? {} : { machineTime };
    return openDirectoryStore({ path, id, mayBeAbsent, ...time });
  }
  const { openS3Store } = await import('./s3.js');
  const { bucket, prefix = '', client } = destination;
  const { signal, timeouts, firstAnswer, firstMs = 250 } = options;
  return openS3Store({
    bucket,
    prefix,
    client,
    timeouts,
    // The pauses between them are part of the time.
    firstAnswerMs:
      firstAnswer && Math.max(1, Math.floor(firstAnswer.withinMs / firstAnswer.attempts) - firstMs),
    ...(signal === undefined ? {} : { signal }),
  });
}
