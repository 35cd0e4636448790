import { CloudFormationClient, ListExportsCommand } from '@aws-sdk/client-cloudformation';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, describe, expect, it } from 'vitest';
import { bucketOf } from '#src/aws/bucket.js';
import { awsClients, s3ClientOptions } from '#src/aws/clients.js';
import type { S3Settings } from '#src/config/settings.js';

const cloudFormation = mockClient(CloudFormationClient);
afterEach(() => cloudFormation.reset());

function settings(more: Partial<S3Settings> = {}): S3Settings {
  return {
    prefix: '',
    forcePathStyle: false,
    requireObjectLock: true,
    aws: {},
    cloudFormation: { region: 'eu-central-1', export: 'backup-bucket' },
    ...more,
  };
}

const bucket = (s3: S3Settings) => bucketOf(s3, awsClients(s3, { env: {}, userAtHost: 'root@web1' }));

describe('the bucket', () => {
  it('is the one that is set, without a request', async () => {
    expect(await bucket(settings({ bucket: 'set' }))).toBe('set');
    expect(cloudFormation.calls()).toHaveLength(0);
  });

  it('is found on the last page of exports', async () => {
    cloudFormation
      .on(ListExportsCommand, { NextToken: undefined })
      .resolves({ Exports: [{ Name: 'a', Value: '1' }], NextToken: '2' });
    cloudFormation.on(ListExportsCommand, { NextToken: '2' }).resolves({ NextToken: '3' });
    cloudFormation
      .on(ListExportsCommand, { NextToken: '3' })
      .resolves({ Exports: [{ Name: 'backup-bucket', Value: 'found' }] });
    expect(await bucket(settings())).toBe('found');
    expect(cloudFormation.calls()).toHaveLength(3);
    const client = cloudFormation.calls()[0]?.thisValue as CloudFormationClient;
    expect(await client.config.region()).toBe('eu-central-1');
  });

  it('that is nowhere is missed, with the nearest names', async () => {
    const Exports = [
      'vpc',
      'bakup-bucket',
      'subnet-a',
      'subnet-b',
      'subnet-c',
      'backup-bucket-2',
      'zone',
    ].map((Name) => ({ Name, Value: 'v' }));
    cloudFormation.on(ListExportsCommand).resolves({ Exports });
    await expect(bucket(settings())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(
        /no export backup-bucket in eu-central-1; there are bakup-bucket, backup-bucket-2, .* and 2 more$/,
      ),
      hint: expect.stringContaining('[cloudformation]'),
    });
  });

  it('is missed where there is no export at all', async () => {
    cloudFormation.on(ListExportsCommand).resolves({});
    await expect(bucket(settings())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('nor any other'),
    });
  });

  it.each([
    ['AccessDenied', undefined, 'ACCESS_DENIED', 'cloudformation:ListExports'],
    ['UnknownError', 'http://127.0.0.1:1', 'STORE_FAILED', 'may well have no CloudFormation'],
  ])('that cannot be looked up for %s at %s is %s', async (name, endpointUrl, code, hint) => {
    cloudFormation.on(ListExportsCommand).rejects(Object.assign(new Error('no'), { name }));
    await expect(bucket(settings(endpointUrl === undefined ? {} : { endpointUrl }))).rejects.toMatchObject({
      code,
      message: expect.stringContaining('export backup-bucket'),
      hint: expect.stringContaining(hint),
    });
  });
});

describe("an S3 client's options", () => {
  const { credentials } = awsClients(settings(), { env: {}, userAtHost: 'x@y' });
  const optionsOf = (more: Partial<S3Settings>) => s3ClientOptions(settings(more), credentials);

  it('never retry or add checksums by themselves', () => {
    expect(optionsOf({})).toMatchObject({ maxAttempts: 1, requestChecksumCalculation: 'WHEN_REQUIRED' });
  });

  it("take the region of the bucket's stack where none is set", () => {
    expect(optionsOf({}).region).toBe('eu-central-1');
    expect(optionsOf({ region: 'eu-west-1' }).region).toBe('eu-west-1');
  });

  it('leave the region to the SDK at Amazon, and need none elsewhere', () => {
    const cloudFormation = { export: 'x' };
    expect(optionsOf({ cloudFormation })).not.toHaveProperty('region');
    expect(optionsOf({ cloudFormation, endpointUrl: 'http://127.0.0.1:1' }).region).toBe('us-east-1');
  });

  it("go to the endpoint, Amazon's too; the other services only elsewhere", async () => {
    const amazon = { endpointUrl: 'https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com' };
    const elsewhere = { endpointUrl: 'http://127.0.0.1:1' };
    expect(optionsOf(amazon).endpoint).toBe(amazon.endpointUrl);
    expect(optionsOf(elsewhere).endpoint).toBe(elsewhere.endpointUrl);
    const portOf = async (more: Partial<S3Settings>) => {
      const client = await awsClients(settings(more), { env: {}, userAtHost: 'x@y' }).iam();
      return (await client.config.endpoint?.())?.port;
    };
    expect(await portOf(amazon)).toBeUndefined();
    expect(await portOf(elsewhere)).toBe(1);
  });
});
