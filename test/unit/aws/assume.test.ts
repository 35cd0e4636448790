import {
  AssumeRoleCommand,
  GetCallerIdentityCommand,
  GetSessionTokenCommand,
  STSClient,
} from '@aws-sdk/client-sts';
import { mockClient } from 'aws-sdk-client-mock';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AssumeRequest, type CredentialsOptions, credentialsFor } from '#src/aws/credentials.js';

const ROLE = 'arn:aws:iam::123456789012:role/restore';
const DEVICE = 'arn:aws:iam::123456789012:mfa/phone';
const MINUTE = 60_000;

const sts = mockClient(STSClient);
/** The access keys with which requests were made, in order. */
let keys: string[] = [];
const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-assume-'));
const file = join(folder, 'credentials');
writeFileSync(file, '[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n');
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  keys = [];
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'no-config'));
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKENV');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's');
  for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN']) vi.stubEnv(name, undefined);
  let session = 0;
  const answer = (name: string) => async (_input: unknown, getClient: () => STSClient) => {
    keys.push((await getClient().config.credentials()).accessKeyId);
    session += 1;
    return {
      Credentials: {
        AccessKeyId: `${name}${session}`,
        SecretAccessKey: 's',
        SessionToken: 't',
        Expiration: new Date(0),
      },
    };
  };
  sts.on(AssumeRoleCommand).callsFake(answer('ROLE'));
  sts.on(GetSessionTokenCommand).callsFake(answer('MFA'));
  sts
    .on(GetCallerIdentityCommand)
    .resolves({ Account: '123456789012', Arn: 'arn:aws-cn:iam::123456789012:user/me' });
});
afterEach(() => {
  vi.unstubAllEnvs();
  sts.reset();
});

const with_ = (assume: AssumeRequest, more: Partial<CredentialsOptions> = {}): CredentialsOptions => ({
  env: {},
  userAtHost: 'me@desk',
  assume,
  ...more,
});
const inputOf = () => sts.commandCalls(AssumeRoleCommand).map((call) => call.args[0].input.RoleArn);

describe('a role that a person asks for', () => {
  it('is assumed with the credentials of the chain, without a credentials file', async () => {
    expect(await credentialsFor({}, with_({ role: { arn: ROLE } }))()).toMatchObject({
      accessKeyId: 'ROLE1',
    });
    expect([inputOf(), keys]).toEqual([[ROLE], ['AKENV']]);
  });

  it('comes before the role that is configured', async () => {
    const aws = { credentialsFile: file, roleArn: 'arn:aws:iam::123456789012:role/backup' };
    await credentialsFor(aws, with_({ role: { arn: ROLE } }))();
    expect([inputOf(), keys]).toEqual([[ROLE], ['AKFILE']]);
  });

  it('is found by the name of a package, in the account and partition of whoever asks', async () => {
    await credentialsFor({}, with_({ role: { ofPackage: 'web' } }))();
    expect(inputOf()).toEqual(['arn:aws-cn:iam::123456789012:role/web-restore']);
  });

  it('that is refused says that MFA may be wanted', async () => {
    sts.on(AssumeRoleCommand).rejects(Object.assign(new Error('no'), { name: 'AccessDenied' }));
    await expect(credentialsFor({}, with_({ role: { arn: ROLE } }))()).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(ROLE),
      hint: expect.stringContaining('--mfa-device'),
    });
  });
});

describe('MFA', () => {
  const codes = (): { codes: string[]; mfa: NonNullable<AssumeRequest['mfa']> } => {
    const asked: string[] = [];
    return {
      codes: asked,
      mfa: {
        device: DEVICE,
        code: async () => {
          asked.push(String(100_000 + asked.length));
          return asked.at(-1) ?? '';
        },
      },
    };
  };

  it('gives a session that the role is assumed with, again and again, the code being asked for once', async () => {
    let now = 0;
    const { codes: asked, mfa } = codes();
    const credentials = credentialsFor({}, with_({ role: { arn: ROLE }, mfa }, { now: () => now }));
    const seen = new Set<string>();
    for (let hours = 0; hours < 11; hours += 1) {
      now = hours * 60 * MINUTE;
      seen.add((await credentials()).accessKeyId);
    }
    expect(seen.size).toBe(11);
    expect(asked).toEqual(['100000']);
    expect(sts.commandCalls(GetSessionTokenCommand)[0]?.args[0].input).toMatchObject({
      SerialNumber: DEVICE,
      TokenCode: '100000',
      DurationSeconds: 43_200,
    });
    expect(keys.slice(0, 3)).toEqual(['AKENV', 'MFA1', 'MFA1']);
    now = 12 * 60 * MINUTE;
    await credentials();
    expect(asked).toHaveLength(2);
  });

  it('is enough without a role', async () => {
    const { mfa } = codes();
    expect(await credentialsFor({ credentialsFile: file }, with_({ mfa }))()).toMatchObject({
      accessKeyId: 'MFA1',
    });
    expect(keys).toEqual(['AKFILE']);
  });

  it('goes before a configured role too', async () => {
    const { mfa } = codes();
    await credentialsFor({ credentialsFile: file, roleArn: ROLE }, with_({ mfa }))();
    expect([inputOf(), keys]).toEqual([[ROLE], ['AKFILE', 'MFA1']]);
  });

  it('with a wrong code says so in a sentence, and what a code is good for', async () => {
    sts.on(GetSessionTokenCommand).rejects(
      Object.assign(new Error('MultiFactorAuthentication failed with invalid MFA one time pass code.'), {
        name: 'AccessDenied',
      }),
    );
    await expect(credentialsFor({}, with_({ mfa: codes().mfa }))()).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(DEVICE),
      hint: expect.stringContaining('once'),
    });
  });
});
