import type { Settings } from '../config/settings.js';
import type { EventListener } from '../events.js';
import { type OpenedStore, openStore, type StoreDestination } from '../store/open.js';
import type { RetryOptions } from '../store/retry.js';
import type { S3Timeouts } from '../store/s3-client.js';
import type { AssumeRequest } from './credentials.js';

/** How long is waited for a store: see `RetryOptions`. */
export type StorePatience = Pick<
  RetryOptions,
  'maxAttempts' | 'maxElapsedMs' | 'firstAnswer' | 'firstMs' | 'longestMs'
>;

export interface OpenDestinationOptions extends StorePatience {
  /** Of a bucket. */
  timeouts?: S3Timeouts | undefined;
  /** For credentials and profiles. */
  env: Readonly<Record<string, string | undefined>>;
  /** `user@host`: what a session of an assumed role is called. */
  userAtHost: string;
  /** A role to take, and MFA. */
  assume?: AssumeRequest | undefined;
  /** Whether a directory that is not there may be made by the first thing stored. Default false. */
  create?: boolean;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
  /** Stops with LIMIT before more requests than this would have been sent. Default: no limit. */
  maxRequests?: number | undefined;
  /** How many of them are kept for the end; see `useReserve` of what is returned. Default 0. */
  reserve?: number | undefined;
}

export type OpenedDestination = OpenedStore;

/**
 * Opens what settings name, with retrying and counting around it. A bucket that is not named is looked up in
 * CloudFormation; else nothing is sent. Throws NOT_FOUND, ACCESS_DENIED, CONFIG.
 */
export async function openDestination(
  destination: Settings['destination'],
  options: OpenDestinationOptions,
): Promise<OpenedDestination> {
  const { env: _env, userAtHost: _user, assume: _assume, create: _create, onEvent, ...opening } = options;
  return await openStore(await placeOf(destination, options), { ...opening, listener: onEvent });
}

async function placeOf(
  destination: Settings['destination'],
  { create = false, env, userAtHost, assume }: OpenDestinationOptions,
): Promise<StoreDestination> {
  if (destination.kind === 'directory') return { ...destination, create };
  const { s3 } = destination;
  // Loaded here, since what it stands on takes longer to load than many a command to run.
  const { awsClients, s3ClientOptions } = await import('./clients.js');
  const clients = awsClients(s3, { env, userAtHost, assume });
  const bucket = s3.bucket ?? (await (await import('./bucket.js')).bucketOf(s3, clients));
  return { kind: 's3', bucket, prefix: s3.prefix, client: s3ClientOptions(s3, clients.credentials) };
}
