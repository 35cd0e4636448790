import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import type { IAMClient } from '@aws-sdk/client-iam';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { isAmazonEndpoint } from '../config/endpoint.js';
import type { S3Settings } from '../config/settings.js';
import { loadS3Sdk } from '../store/s3-sdk.js';
import { type CredentialsOptions, type CredentialsProvider, credentialsFor } from './credentials.js';

/**
 * Makes the clients of one store, with one set of credentials among them. The SDK's packages take 50 to 100 ms
 * each to load, so each is loaded when its client is asked for.
 */
export interface AwsClients {
  readonly credentials: CredentialsProvider;
  s3(): Promise<S3Client>;
  cloudFormation(): Promise<CloudFormationClient>;
  iam(): Promise<IAMClient>;
}

export type AwsClientsOptions = Pick<CredentialsOptions, 'env' | 'userAtHost' | 'now' | 'assume'>;

export function awsClients(s3: S3Settings, options: AwsClientsOptions): AwsClients {
  const region = s3.region ?? s3.cloudFormation.region;
  const credentials = credentialsFor(s3.aws, { ...options, region, endpointUrl: s3.endpointUrl });
  return {
    credentials,
    s3: async () => new (loadS3Sdk().S3Client)(s3ClientOptions(s3, credentials)),
    cloudFormation: async () => {
      const { CloudFormationClient } = await import('@aws-sdk/client-cloudformation');
      return new CloudFormationClient(sharedOptions(s3, credentials, s3.cloudFormation.region ?? s3.region));
    },
    iam: async () => {
      const { IAMClient } = await import('@aws-sdk/client-iam');
      return new IAMClient(sharedOptions(s3, credentials, region));
    },
  };
}

/** What an S3 client for this store is made with. It never asks twice: the store's own wrapper retries, and counts. */
export function s3ClientOptions(s3: S3Settings, credentials: CredentialsProvider): S3ClientConfig {
  return {
    ...sharedOptions(s3, credentials, s3.region ?? s3.cloudFormation.region),
    ...(s3.endpointUrl === undefined ? {} : { endpoint: s3.endpointUrl }),
    forcePathStyle: s3.forcePathStyle,
    // Amazon answers for a bucket of another region with a redirect.
    followRegionRedirects: isAmazonEndpoint(s3.endpointUrl),
    // Some servers refuse the SDK's trailing checksums on streams; what is sent carries Content-MD5.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
  };
}

interface SharedOptions {
  credentials: CredentialsProvider;
  region?: string;
  endpoint?: string;
  profile?: string;
}

/**
 * Where no region is set, the SDK finds it in the environment or in the profile; servers other than Amazon's take
 * any. An endpoint other than Amazon's is asked for everything: it may be one server for all services.
 */
function sharedOptions(
  s3: S3Settings,
  credentials: CredentialsProvider,
  region: string | undefined,
): SharedOptions {
  const options: SharedOptions = { credentials };
  if (s3.aws.profile !== undefined) options.profile = s3.aws.profile;
  const elsewhere = !isAmazonEndpoint(s3.endpointUrl);
  if (region !== undefined || elsewhere) options.region = region ?? 'us-east-1';
  if (elsewhere && s3.endpointUrl !== undefined) options.endpoint = s3.endpointUrl;
  return options;
}
