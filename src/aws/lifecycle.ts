import type { GetBucketLifecycleConfigurationOutput, LifecycleRule } from '@aws-sdk/client-s3';
import type { S3Settings } from '../config/settings.js';
import { isFrozen } from '../config/storage-class.js';
import { s3ErrorName } from '../store/s3-errors.js';
import { s3ClientDefaults } from '../store/s3-client.js';
import { loadS3Sdk } from '../store/s3-sdk.js';
import type { OpenDestinationOptions } from './open-destination.js';

/** What a bucket's lifecycle rules do with what this program stores. */
export interface Lifecycle {
  /** `seen`: they could be read; `none`: there are none; `unseen`: refused, or not known there. */
  rules: 'seen' | 'none' | 'unseen';
  /** Sentences. */
  warnings: string[];
}

/** What keys begin with, behind the store's prefix. */
const FOLDERS = ['content/', 'bundles/', 'snapshots/', 'manifests/'];

/**
 * Reads the lifecycle rules of a bucket, with one request (`s3:GetLifecycleConfiguration`). Nobody has to have that
 * right: where they cannot be read, that is all there is to say.
 */
export async function lifecycleOf(
  s3: S3Settings,
  {
    env,
    userAtHost,
    assume,
    signal,
  }: Pick<OpenDestinationOptions, 'env' | 'userAtHost' | 'assume' | 'signal'>,
): Promise<Lifecycle> {
  const { awsClients, s3ClientOptions } = await import('./clients.js');
  const { bucketOf } = await import('./bucket.js');
  const clients = awsClients(s3, { env, userAtHost, assume });
  const sdk = loadS3Sdk();
  const client = new sdk.S3Client({ ...s3ClientDefaults(), ...s3ClientOptions(s3, clients.credentials) });
  let answer: GetBucketLifecycleConfigurationOutput;
  try {
    const Bucket = s3.bucket ?? (await bucketOf(s3, clients));
    const asked = signal === undefined ? {} : { abortSignal: signal };
    answer = await client.send(new sdk.GetBucketLifecycleConfigurationCommand({ Bucket }), asked);
  } catch (error) {
    if (s3ErrorName(error) !== 'NoSuchLifecycleConfiguration') return { rules: 'unseen', warnings: [] };
    answer = {};
  } finally {
    client.destroy();
  }
  const rules = answer.Rules ?? [];
  return { rules: rules.length === 0 ? 'none' : 'seen', warnings: lifecycleWarnings(rules, s3.prefix) };
}

/** What to know about these rules, for a store whose keys begin with the prefix. */
export function lifecycleWarnings(rules: readonly LifecycleRule[], prefix: string): string[] {
  const ours = FOLDERS.map((folder) => prefix + folder);
  // What is stored has no tags.
  const active = rules.filter((rule) => rule.Status === 'Enabled' && !asksForTags(rule));
  const covers = (wanted: (rule: LifecycleRule) => boolean): boolean =>
    ours.every((begin) =>
      active.some((rule) => wanted(rule) && !asksForSize(rule) && begin.startsWith(prefixOf(rule))),
    );
  const warnings: string[] = [];
  if (!covers(({ NoncurrentVersionExpiration: end }) => end !== undefined))
    warnings.push(
      'nothing removes what has lapsed: no lifecycle rule of the bucket ends noncurrent versions',
    );
  else if (!covers(({ Expiration: end }) => end?.Days !== undefined || end?.Date !== undefined))
    warnings.push(
      'what nobody renews stays: no lifecycle rule of the bucket expires current versions, so that they become noncurrent',
    );
  const classes = new Set(
    active
      .filter((rule) => ours.some((begin) => overlap(begin, prefixOf(rule))))
      .flatMap((rule) => [...(rule.Transitions ?? []), ...(rule.NoncurrentVersionTransitions ?? [])])
      .map(({ StorageClass = '' }) => StorageClass as string)
      .filter(isFrozen),
  );
  if (classes.size > 0)
    warnings.push(
      `a lifecycle rule of the bucket moves objects to ${[...classes].sort().join(' and ')}: ` +
        'a restore must first ask for each of them to be thawed, which takes hours and is charged',
    );
  return warnings;
}

function prefixOf({ Filter, Prefix }: LifecycleRule): string {
  return Filter?.And?.Prefix ?? Filter?.Prefix ?? Prefix ?? '';
}

function asksForTags({ Filter }: LifecycleRule): boolean {
  return Filter?.Tag !== undefined || (Filter?.And?.Tags?.length ?? 0) > 0;
}

function asksForSize({ Filter }: LifecycleRule): boolean {
  return [Filter, Filter?.And].some(
    (part) => part?.ObjectSizeGreaterThan !== undefined || part?.ObjectSizeLessThan !== undefined,
  );
}

function overlap(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
