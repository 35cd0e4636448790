import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import type { IAMClient } from '@aws-sdk/client-iam';
import { SysbackupError } from '../errors.js';
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

/** Throws USAGE where the SDK could not take it. */
function checkEndpoint(url: string): void {
  if (/^https?:\/\/[^/]/.test(url) && URL.canParse(url)) return;
  throw new SysbackupError('USAGE', `${JSON.stringify(url)} is no URL of a server`, {
    hint: 'Write --endpoint-url like https://s3.example.org',
  });
}

function clientsOf({ region, profile, endpointUrl, env, userAtHost }: AwsAccess): AwsClients {
  if (endpointUrl !== undefined) checkEndpoint(endpointUrl);
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
