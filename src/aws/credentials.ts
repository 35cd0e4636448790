import { access, constants } from 'node:fs/promises';
import { isAmazonEndpoint } from '../config/endpoint.js';
import type { S3Settings } from '../config/settings.js';
import { messageOf, SysbackupError } from '../errors.js';
import { explainAwsError } from './explain.js';
import { keptCredentials } from './kept-credentials.js';
import { sessionName } from './session-name.js';

/** A function that the SDK's clients take as `credentials`. */
export type CredentialsProvider = ReturnType<typeof import('@aws-sdk/credential-providers').fromIni>;
export type Credentials = Awaited<ReturnType<CredentialsProvider>>;

export interface CredentialsOptions {
  /** `AWS_REGION` and `AWS_DEFAULT_REGION` are read, for STS. What the SDK reads of `process.env` is its own affair. */
  env: Readonly<Record<string, string | undefined>>;
  /** `user@host`, to name the session of an assumed role by. */
  userAtHost: string;
  /** Of STS. Default: the environment's, else the first of the role's partition. */
  region?: string | undefined;
  /** Where `[s3] endpoint_url` leads to a server other than Amazon's, STS is asked there. */
  endpointUrl?: string | undefined;
  /** Milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
}

/** Seconds: what every role allows, also one that is assumed by a role. */
const SESSION_SECONDS = 3600;

/**
 * Where requests get their credentials from: the role `roleArn` assumed with the credentials file's; the file's own;
 * the profile's; else the SDK's default chain (environment, SSO, web identity, instance and container roles).
 * Nothing is read or asked before the first request. Share one result among clients: a role is then assumed once,
 * and again before its session ends. Errors are `ACCESS_DENIED`, `CONFIG` where the credentials file cannot be read.
 */
export function credentialsFor(aws: S3Settings['aws'], options: CredentialsOptions): CredentialsProvider {
  const { credentialsFile, roleArn } = aws;
  const now = options.now ?? Date.now;
  if (credentialsFile === undefined) return keptCredentials(fromChain(aws.profile), now);
  const fromFile = fromCredentialsFile(credentialsFile, aws.profile ?? 'default');
  if (roleArn === undefined) return keptCredentials(fromFile, now);
  return keptCredentials(assumed(roleArn, fromFile, { ...options, now }), now);
}

function fromChain(profile: string | undefined): CredentialsProvider {
  return async (properties) => {
    const { fromIni, fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    try {
      // A profile asked for by name must not give way to an instance's role when it is mistyped.
      return await (profile === undefined ? fromNodeProviderChain() : fromIni({ profile }))(properties);
    } catch (error) {
      const source = profile === undefined ? '' : ` from the profile ${profile}`;
      throw explainAwsError(error, `cannot get AWS credentials${source}`);
    }
  };
}

function fromCredentialsFile(path: string, profile: string): CredentialsProvider {
  return async (properties) => {
    // The SDK takes a file that it cannot read for an empty one.
    await access(path, constants.R_OK).catch((cause: unknown) => {
      throw new SysbackupError('CONFIG', `cannot read the credentials file ${path}: ${messageOf(cause)}`, {
        hint: 'See [aws] credentials_file, and who may read that file.',
        cause,
      });
    });
    const { fromIni } = await import('@aws-sdk/credential-providers');
    try {
      return await fromIni({ filepath: path, profile, ignoreCache: true })(properties);
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot get AWS credentials from the profile ${profile} in ${path}`,
        `It needs a section [${profile}] with aws_access_key_id and aws_secret_access_key.`,
      );
    }
  };
}

function assumed(
  roleArn: string,
  master: CredentialsProvider,
  options: CredentialsOptions & { now: () => number },
): CredentialsProvider {
  return async (properties) => {
    const credentials = await master(properties);
    const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
    const client = new STSClient({
      credentials,
      region: options.region ?? stsRegion(roleArn, options.env),
      ...(isAmazonEndpoint(options.endpointUrl) || options.endpointUrl === undefined
        ? {}
        : { endpoint: options.endpointUrl }),
    });
    const asked = options.now();
    try {
      const { Credentials: session } = await client.send(
        new AssumeRoleCommand({
          RoleArn: roleArn,
          RoleSessionName: sessionName(options.userAtHost),
          DurationSeconds: SESSION_SECONDS,
        }),
      );
      if (!session?.AccessKeyId || !session.SecretAccessKey)
        throw new SysbackupError('STORE_FAILED', `STS answered without credentials for ${roleArn}`);
      return {
        accessKeyId: session.AccessKeyId,
        secretAccessKey: session.SecretAccessKey,
        ...(session.SessionToken === undefined ? {} : { sessionToken: session.SessionToken }),
        // STS tells the end by its own clock. On a machine whose clock is wrong that would be never, or now.
        expiration: new Date(asked + SESSION_SECONDS * 1000),
      };
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot assume the role ${roleArn}`,
        "The credentials file's user needs sts:AssumeRole on it, and the role's trust policy must name that user.",
      );
    } finally {
      client.destroy();
    }
  };
}

const FIRST_REGION: Record<string, string> = {
  'aws-cn': 'cn-north-1',
  'aws-us-gov': 'us-gov-west-1',
};

function stsRegion(roleArn: string, env: CredentialsOptions['env']): string {
  const partition = roleArn.split(':')[1] ?? '';
  return env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || FIRST_REGION[partition] || 'us-east-1';
}
