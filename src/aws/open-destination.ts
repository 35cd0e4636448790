import type { AdmittedDirectory, Archiving } from '../archive/admit-directory.js';
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
  /**
   * To store in it, as `archive` does, and not only to read: then a directory must be the store that it should be, and
   * gets what it lacks (see {@link Archiving}). Of a bucket nothing is asked. Default: only to read, so that nothing can
   * be put into a directory that has no marker.
   */
  archiving?: Archiving | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
  /** Stops with LIMIT before more requests than this would have been sent. Default: no limit. */
  maxRequests?: number | undefined;
  /** How many of them are kept for the end; see `useReserve` of what is returned. Default 0. */
  reserve?: number | undefined;
}

export interface OpenedDestination extends OpenedStore {
  /** Of a directory that was opened with `archiving`: what it was found to be. */
  directory?: AdmittedDirectory | undefined;
}

/**
 * Opens what settings name, with retrying and counting around it. A bucket that is not named is looked up in
 * CloudFormation; else nothing is sent. Throws NOT_FOUND (of a directory also where `archiving` refuses it), ACCESS_DENIED,
 * CONFIG, and SYSTEM where a directory's marker cannot be written.
 */
export async function openDestination(
  destination: Settings['destination'],
  options: OpenDestinationOptions,
): Promise<OpenedDestination> {
  const { env: _env, userAtHost: _user, assume: _assume, archiving, onEvent, ...given } = options;
  const opening = { ...given, listener: onEvent };
  if (destination.kind === 's3') return await openStore(await bucketPlace(destination, options), opening);
  if (archiving === undefined) return await openStore(destination, opening);
  const { admitDirectory } = await import('../archive/admit-directory.js');
  const directory = await admitDirectory({ ...archiving, path: destination.path, onEvent });
  const { path, id } = directory;
  const opened = await openStore(
    { kind: 'directory', path, id, mayBeAbsent: archiving.dryRun === true },
    opening,
  );
  return { ...opened, directory };
}

async function bucketPlace(
  { s3 }: Settings['destination'] & { kind: 's3' },
  { env, userAtHost, assume }: OpenDestinationOptions,
): Promise<StoreDestination> {
  // Loaded here, since what it stands on takes longer to load than many a command to run.
  const { awsClients, s3ClientOptions } = await import('./clients.js');
  const clients = awsClients(s3, { env, userAtHost, assume });
  const bucket = s3.bucket ?? (await (await import('./bucket.js')).bucketOf(s3, clients));
  return { kind: 's3', bucket, prefix: s3.prefix, client: s3ClientOptions(s3, clients.credentials) };
}
