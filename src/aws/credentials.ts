import { access, constants } from 'node:fs/promises';
import { isAmazonEndpoint } from '../config/endpoint.js';
import type { S3Settings } from '../config/settings.js';
import { messageOf, SysbackupError } from '../errors.js';
import { quietSdk, SILENT } from '../store/quiet-sdk.js';
import { explainAwsError } from './explain.js';
import { keptCredentials } from './kept-credentials.js';
import { sessionName } from './session-name.js';

/** A function that the SDK's clients take as `credentials`. */
export type CredentialsProvider = ReturnType<typeof import('@aws-sdk/credential-providers').fromIni>;
export type Credentials = Awaited<ReturnType<CredentialsProvider>>;

/** A role that a person asked for, and what proves that it is them. */
export interface AssumeRequest {
  /** ARN, or the name of a package whose restore role it is: of the account that the credentials belong to. */
  role?: { arn: string } | { ofPackage: string } | undefined;
  /** Serial number or ARN of an MFA device, and what gives the code that it shows. Asked once in twelve hours. */
  mfa?: { device: string; code: () => Promise<string> } | undefined;
}

export interface CredentialsOptions {
  /** Comes before the role that is configured, and counts without a credentials file too. */
  assume?: AssumeRequest | undefined;
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

/** Else the SDK says on standard error what it makes of the environment. */
const logger = SILENT as NonNullable<
  NonNullable<Parameters<typeof import('@aws-sdk/credential-providers').fromIni>[0]>['logger']
>;

/** Seconds: what every role allows, also one that is assumed by a role. */
const SESSION_SECONDS = 3600;
/** Of a session that MFA was asked for: whoever restores for a day shall not be asked each hour. */
const MFA_SECONDS = 12 * 3600;

/**
 * Where requests get their credentials from: the role `roleArn` assumed with the credentials file's; the file's own;
 * the profile's; else the SDK's default chain (environment, SSO, web identity, instance and container roles).
 * Nothing is read or asked before the first request. Share one result among clients: a role is then assumed once,
 * and again before its session ends. Errors are `ACCESS_DENIED`, `CONFIG` where the credentials file cannot be read.
 */
export function credentialsFor(aws: S3Settings['aws'], options: CredentialsOptions): CredentialsProvider {
  quietSdk();
  const { credentialsFile, roleArn } = aws;
  const now = options.now ?? Date.now;
  const withNow = { ...options, now };
  const own =
    credentialsFile === undefined
      ? fromChain(aws.profile)
      : fromCredentialsFile(credentialsFile, aws.profile ?? 'default');
  const {
    mfa,
    role = credentialsFile === undefined || roleArn === undefined ? undefined : { arn: roleArn },
  } = options.assume ?? {};
  // A session with MFA may assume the role again and again, each time saying that there was MFA.
  const proven = mfa === undefined ? own : keptCredentials(mfaSession(mfa, own, withNow), now);
  if (role === undefined) return mfa === undefined ? keptCredentials(own, now) : proven;
  return keptCredentials(
    'arn' in role ? assumed(role.arn, proven, withNow) : restoreRole(role.ofPackage, proven, withNow),
    now,
  );
}

function fromChain(profile: string | undefined): CredentialsProvider {
  return async (properties) => {
    const { fromIni, fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    try {
      // A profile asked for by name must not give way to an instance's role when it is mistyped.
      return await (profile === undefined ? fromNodeProviderChain({ logger }) : fromIni({ profile, logger }))(
        properties,
      );
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
      return await fromIni({ filepath: path, profile, ignoreCache: true, logger })(properties);
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot get AWS credentials from the profile ${profile} in ${path}`,
        `It needs a section [${profile}] with aws_access_key_id and aws_secret_access_key.`,
      );
    }
  };
}

type StsOptions = CredentialsOptions & { now: () => number };
type Sts = typeof import('@aws-sdk/client-sts');

function assumed(roleArn: string, master: CredentialsProvider, options: StsOptions): CredentialsProvider {
  return withSts(master, options, roleArn, async ({ AssumeRoleCommand }, client) => {
    const asked = options.now();
    try {
      const answer = await client.send(
        new AssumeRoleCommand({
          RoleArn: roleArn,
          RoleSessionName: sessionName(options.userAtHost),
          DurationSeconds: SESSION_SECONDS,
        }),
      );
      return sessionOf(answer.Credentials, roleArn, asked + SESSION_SECONDS * 1000);
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot assume the role ${roleArn}`,
        options.assume?.role === undefined
          ? "The credentials file's user needs sts:AssumeRole on it, and the role's trust policy must name that user."
          : "Your user needs sts:AssumeRole on it, the role's trust policy must let them, and it may ask for MFA (--mfa-device).",
      );
    }
  });
}

/** The role of which `create-resources` says that it may read the package's bucket. */
function restoreRole(name: string, master: CredentialsProvider, options: StsOptions): CredentialsProvider {
  const own = withSts(master, options, '', async ({ GetCallerIdentityCommand }, client) => {
    try {
      const { Arn = '', Account = '' } = await client.send(new GetCallerIdentityCommand({}));
      return `arn:${Arn.split(':')[1] ?? 'aws'}:iam::${Account}:role/${name}-restore`;
    } catch (error) {
      throw explainAwsError(error, `cannot find out whose account the package ${name} is looked for in`);
    }
  });
  return async (properties) => await assumed(await own(properties), master, options)(properties);
}

function mfaSession(
  { device, code }: NonNullable<AssumeRequest['mfa']>,
  own: CredentialsProvider,
  options: StsOptions,
): CredentialsProvider {
  return withSts(own, options, device, async ({ GetSessionTokenCommand }, client) => {
    const TokenCode = await code();
    const asked = options.now();
    try {
      const answer = await client.send(
        new GetSessionTokenCommand({ SerialNumber: device, TokenCode, DurationSeconds: MFA_SECONDS }),
      );
      return sessionOf(answer.Credentials, `a session with MFA by ${device}`, asked + MFA_SECONDS * 1000);
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot get a session with MFA by ${device}`,
        "The device must be that user's own, and a code is good once and for about a minute: wait for the next one.",
      );
    }
  });
}

/** Does something with an STS client that has these credentials. `of`: an ARN, whose partition has the region. */
function withSts<T>(
  credentials: CredentialsProvider,
  options: StsOptions,
  of: string,
  work: (sts: Sts, client: InstanceType<Sts['STSClient']>) => Promise<T>,
): (properties?: Parameters<CredentialsProvider>[0]) => Promise<T> {
  return async (properties) => {
    const own = await credentials(properties);
    const sts = await import('@aws-sdk/client-sts');
    const client = new sts.STSClient({
      credentials: own,
      region: options.region ?? stsRegion(of, options.env),
      ...(isAmazonEndpoint(options.endpointUrl) || options.endpointUrl === undefined
        ? {}
        : { endpoint: options.endpointUrl }),
    });
    try {
      return await work(sts, client);
    } finally {
      client.destroy();
    }
  };
}

/** STS tells the end by its own clock. On a machine whose clock is wrong that would be never, or now. */
function sessionOf(
  session:
    | {
        AccessKeyId?: string | undefined;
        SecretAccessKey?: string | undefined;
        SessionToken?: string | undefined;
      }
    | undefined,
  what: string,
  expiration: number,
): Credentials {
  if (!session?.AccessKeyId || !session.SecretAccessKey)
    throw new SysbackupError('STORE_FAILED', `STS answered without credentials for ${what}`);
  return {
    accessKeyId: session.AccessKeyId,
    secretAccessKey: session.SecretAccessKey,
    ...(session.SessionToken === undefined ? {} : { sessionToken: session.SessionToken }),
    expiration: new Date(expiration),
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
