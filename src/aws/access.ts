import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import type { IAMClient } from '@aws-sdk/client-iam';
import { type AwsClients, awsClients } from './clients.js';

/** As whom, and where, AWS is asked for its other services than S3. */
export interface AwsAccess {
  /** Default: the environment's or the profile's. */
  region?: string | undefined;
  /** Default: the SDK's default chain. */
  profile?: string | undefined;
  /** One server for all services, where it is not AWS. */
  endpointUrl?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** `user@host`: what a session of an assumed role is called. */
  userAtHost: string;
}

export async function cloudFormationOf(access: AwsAccess): Promise<CloudFormationClient> {
  return await clientsOf(access).cloudFormation();
}

export async function iamOf(access: AwsAccess): Promise<IAMClient> {
  return await clientsOf(access).iam();
}

function clientsOf({ region, profile, endpointUrl, env, userAtHost }: AwsAccess): AwsClients {
  return awsClients(
    {
      ...(region === undefined ? {} : { region }),
      ...(endpointUrl === undefined ? {} : { endpointUrl }),
      prefix: '',
      forcePathStyle: true,
      requireObjectLock: true,
      aws: profile === undefined ? {} : { profile },
      cloudFormation: { export: '' },
    },
    { env, userAtHost },
  );
}
