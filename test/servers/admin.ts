import {
  PutUserPolicyCommand,
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';

export const REGION = 'eu-central-1';

/** Variables of the environment that make the SDK somebody. */
export type Identity = Record<string, string>;

const ANYBODY: Identity = { AWS_ACCESS_KEY_ID: 'anybody', AWS_SECRET_ACCESS_KEY: 'any', AWS_REGION: REGION };

/** A user with all rights, made while nobody's rights are asked. */
export async function administrator(endpoint: string): Promise<Identity> {
  const iam = new IAMClient({ endpoint, region: REGION, credentials: credentialsOf(ANYBODY) });
  await iam.send(new CreateUserCommand({ UserName: 'administrator' }));
  await iam.send(
    new PutUserPolicyCommand({
      UserName: 'administrator',
      PolicyName: 'all',
      PolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
      }),
    }),
  );
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'administrator' }));
  iam.destroy();
  return identityOf(AccessKey?.AccessKeyId, AccessKey?.SecretAccessKey);
}

/** A session under a role. */
export async function underRole(endpoint: string, who: Identity, roleArn: string): Promise<Identity> {
  const sts = new STSClient({ endpoint, region: REGION, credentials: credentialsOf(who) });
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'test' }),
  );
  sts.destroy();
  return {
    ...identityOf(Credentials?.AccessKeyId, Credentials?.SecretAccessKey),
    AWS_SESSION_TOKEN: Credentials?.SessionToken ?? '',
  };
}

export function identityOf(id: string | undefined, secret: string | undefined): Identity {
  return { AWS_ACCESS_KEY_ID: id ?? '', AWS_SECRET_ACCESS_KEY: secret ?? '', AWS_REGION: REGION };
}

export function credentialsOf(identity: Identity): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN } = identity;
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN === undefined ? {} : { sessionToken: AWS_SESSION_TOKEN }),
  };
}
