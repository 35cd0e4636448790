import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateStackCommand } from '@aws-sdk/client-cloudformation';
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
} from '@aws-sdk/client-iam';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { bucketOf } from '#src/aws/bucket.js';
import { type AwsClients, awsClients } from '#src/aws/clients.js';
import type { CredentialsProvider } from '#src/aws/credentials.js';
import type { S3Settings } from '#src/config/settings.js';
import { startMotoOrSkip } from './moto.js';

const moto = await startMotoOrSkip();
const REGION = 'eu-central-1';

describe.skipIf(moto === undefined)('against moto (needs python3 and PyPI)', () => {
  const url = moto?.url ?? '';
  let folder: string;
  let administrator: AwsClients;

  const settings = (more: Partial<S3Settings> = {}): S3Settings => ({
    endpointUrl: url,
    region: REGION,
    prefix: '',
    forcePathStyle: true,
    requireObjectLock: true,
    aws: {},
    cloudFormation: { export: 'backup-bucket' },
    ...more,
  });
  const clientsFor = (aws: S3Settings['aws'], now?: () => number): AwsClients =>
    awsClients(settings({ aws }), {
      env: {},
      userAtHost: 'jürgen@web1',
      ...(now === undefined ? {} : { now }),
    });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 's3-sysbackup-aws-'));
  });
  afterAll(async () => {
    await moto?.stop();
    await rm(folder, { recursive: true });
  });
  beforeEach(async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'administrator');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'any');
    vi.stubEnv('AWS_PROFILE', undefined);
    administrator = clientsFor({});
    await moto?.enforceIamAfter(undefined);
    await moto?.reset();
  });
  afterEach(() => vi.unstubAllEnvs());

  async function stackWithExports(names: readonly string[]): Promise<void> {
    const outputs = names.map((name, nth) => [
      `O${nth}`,
      { Value: `value-of-${name}`, Export: { Name: name } },
    ]);
    const TemplateBody = JSON.stringify({
      Resources: { Topic: { Type: 'AWS::S3::Bucket', Properties: {} } },
      Outputs: Object.fromEntries(outputs),
    });
    const client = await administrator.cloudFormation();
    await client.send(new CreateStackCommand({ StackName: 'stack', TemplateBody }));
  }

  /** A user whose policy allows these actions, with its key in a credentials file. */
  async function userWith(actions: readonly string[]): Promise<string> {
    const iam = await administrator.iam();
    await iam.send(new CreateUserCommand({ UserName: 'machine' }));
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
    });
    const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: 'machine', PolicyDocument }));
    await iam.send(new AttachUserPolicyCommand({ UserName: 'machine', PolicyArn: Policy?.Arn }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'machine' }));
    const file = join(folder, 'credentials');
    await writeFile(
      file,
      `[machine]\naws_access_key_id = ${AccessKey?.AccessKeyId}\naws_secret_access_key = ${AccessKey?.SecretAccessKey}\n`,
    );
    return file;
  }

  async function role(): Promise<string> {
    const AssumeRolePolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: '*' } }],
    });
    const iam = await administrator.iam();
    const { Role } = await iam.send(new CreateRoleCommand({ RoleName: 'backup', AssumeRolePolicyDocument }));
    return Role?.Arn ?? 'none';
  }

  async function whoIs(credentials: CredentialsProvider): Promise<string | undefined> {
    const client = new STSClient({ endpoint: url, region: REGION, credentials });
    return (await client.send(new GetCallerIdentityCommand({}))).Arn;
  }

  it('the bucket is found behind the first page of exports', async () => {
    await stackWithExports([...Array.from({ length: 120 }, (_, nth) => `other-${nth}`), 'backup-bucket']);
    expect(await bucketOf(settings(), administrator)).toBe('value-of-backup-bucket');
  });

  it('a missing export is named with what there is instead', async () => {
    await stackWithExports(['backup-buckets', 'other']);
    await expect(bucketOf(settings(), administrator)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('there are backup-buckets, other'),
    });
  });

  it('a machine that may not list exports is told what it needs', async () => {
    const credentialsFile = await userWith(['s3:PutObject']);
    await moto?.enforceIamAfter(0);
    await expect(
      bucketOf(settings(), clientsFor({ credentialsFile, profile: 'machine' })),
    ).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('cloudformation:ListExports'),
    });
  });

  it('a role is assumed in a session named after user and host, and its credentials store', async () => {
    const credentialsFile = await userWith(['sts:AssumeRole']);
    const roleArn = await role();
    const clients = clientsFor({ credentialsFile, profile: 'machine', roleArn });
    expect(await whoIs(clients.credentials)).toMatch(/assumed-role\/backup\/j-rgen@web1$/);
    const s3 = await clients.s3();
    await s3.send(
      new CreateBucketCommand({
        Bucket: 'bucket',
        CreateBucketConfiguration: { LocationConstraint: REGION },
      }),
    );
    const put = await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: Buffer.from('x') }));
    expect(put.$metadata.httpStatusCode).toBe(200);
  });

  it('a role is assumed anew before its session ends, once for all clients', async () => {
    const credentialsFile = await userWith(['sts:AssumeRole']);
    const roleArn = await role();
    let ahead = 0;
    const { credentials } = clientsFor(
      { credentialsFile, profile: 'machine', roleArn },
      () => Date.now() + ahead,
    );
    const keys: string[] = [];
    for (const minutes of [0, 54, 56, 100, 112]) {
      ahead = minutes * 60_000;
      keys.push((await credentials()).accessKeyId);
    }
    expect(keys[1]).toBe(keys[0]);
    expect(keys[3]).toBe(keys[2]);
    expect(new Set(keys).size).toBe(3);
  });

  it('a user that may not assume the role is told so', async () => {
    const credentialsFile = await userWith(['s3:PutObject']);
    const roleArn = await role();
    await moto?.enforceIamAfter(0);
    const { credentials } = clientsFor({ credentialsFile, profile: 'machine', roleArn });
    await expect(credentials()).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(`cannot assume the role ${roleArn}: `),
    });
  });

  it('a key that nobody knows is told so', async () => {
    const credentialsFile = join(folder, 'unknown');
    await writeFile(
      credentialsFile,
      '[default]\naws_access_key_id = AKIAUNKNOWN\naws_secret_access_key = x\n',
    );
    const roleArn = await role();
    await moto?.enforceIamAfter(0);
    await expect(clientsFor({ credentialsFile, roleArn }).credentials()).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('InvalidClientTokenId'),
      hint: expect.stringContaining('access key'),
    });
  });
});
