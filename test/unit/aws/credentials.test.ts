import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { credentialsFor, type CredentialsOptions } from '#src/aws/credentials.js';
import { awsClients } from '#src/aws/clients.js';
import type { S3Settings } from '#src/config/settings.js';
import { explainAwsError } from '#src/aws/explain.js';
import { keptCredentials } from '#src/aws/kept-credentials.js';
import { sessionName } from '#src/aws/session-name.js';
import { parseConf } from '#src/config/conf-file.js';
import { settingsFrom } from '#src/config/load.js';
import { SysbackupError } from '#src/errors.js';

const ROLE = 'arn:aws:iam::123456789012:role/backup';
const MINUTE = 60_000;

let folder: string;
let file: string;
const sts = mockClient(STSClient);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 's3-sysbackup-credentials-'));
  file = join(folder, 'credentials');
  await writeFile(
    file,
    '[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = s1\n' +
      '[spare]\naws_access_key_id = AKSPARE\naws_secret_access_key = s2\n',
  );
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(() => {
  // The SDK's own sources of credentials on the machine that runs the tests stay out of it.
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'no-config'));
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'no-credentials'));
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const name of ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'])
    vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  sts.reset();
});

const options = (more: Partial<CredentialsOptions> = {}): CredentialsOptions => ({
  env: {},
  userAtHost: 'root@web1',
  ...more,
});

function answerWithSessions(): void {
  let session = 0;
  sts.on(AssumeRoleCommand).callsFake(() => {
    session++;
    return {
      Credentials: {
        AccessKeyId: `SESSION${session}`,
        SecretAccessKey: 's',
        SessionToken: 't',
        Expiration: new Date('2001-01-01'),
      },
    };
  });
}

describe('credentials', () => {
  it('come from the credentials file, of its default profile or of the one named', async () => {
    expect(await credentialsFor({ credentialsFile: file }, options())()).toMatchObject({
      accessKeyId: 'AKDEFAULT',
    });
    expect(await credentialsFor({ credentialsFile: file, profile: 'spare' }, options())()).toMatchObject({
      accessKeyId: 'AKSPARE',
      secretAccessKey: 's2',
    });
  });

  it('do not come from the environment where a credentials file is named', async () => {
    vi.stubEnv('AWS_PROFILE', 'spare');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    expect(await credentialsFor({ credentialsFile: file }, options())()).toMatchObject({
      accessKeyId: 'AKDEFAULT',
    });
  });

  it('come from a profile, before keys in the environment', async () => {
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    expect(await credentialsFor({ profile: 'spare' }, options())()).toMatchObject({ accessKeyId: 'AKSPARE' });
  });

  it("come from the SDK's chain where nothing is set", async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    expect(await credentialsFor({}, options())()).toMatchObject({ accessKeyId: 'AKENV' });
  });

  it('come from the role of the machine, where the metadata service names one', async () => {
    const service = createServer((request, response) => {
      const role = '/latest/meta-data/iam/security-credentials/';
      const session = {
        Code: 'Success',
        AccessKeyId: 'AKINSTANCE',
        SecretAccessKey: 's',
        Token: 't',
        Expiration: new Date(Date.now() + 360 * MINUTE).toISOString(),
      };
      if (request.url === '/latest/api/token') response.end('token');
      else if (request.url === role) response.end('backup-role');
      else if (request.url === `${role}backup-role`) response.end(JSON.stringify(session));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await once(service, 'listening');
    const { port } = service.address() as AddressInfo;
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', undefined);
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', `http://127.0.0.1:${port}`);
    expect(await credentialsFor({}, options())()).toMatchObject({
      accessKeyId: 'AKINSTANCE',
      sessionToken: 't',
    });
    service.closeAllConnections();
    service.close();
  });

  it('come from the profile that AWS_PROFILE names, not from the one in the conf', async () => {
    const conf = parseConf(`[aws]\nprofile = default\ncredentials_file = ${file}\n`, 'conf');
    const { settings } = settingsFrom(conf, {
      confDir: folder,
      env: { AWS_PROFILE: 'spare' },
      user: { uid: 0, home: '/root' },
      hostname: 'web1',
    });
    const aws = settings.destination.kind === 's3' ? settings.destination.s3.aws : {};
    expect(await credentialsFor(aws, options())()).toMatchObject({ accessKeyId: 'AKSPARE' });
  });

  it.each([
    ['nothing set and nothing found', {}, 'cannot get AWS credentials: '],
    ['a profile that is nowhere', { profile: 'typo' }, 'from the profile typo: '],
  ])('are refused with a sentence for %s', async (_, aws, sentence) => {
    const error = await credentialsFor(aws, options())().catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'ACCESS_DENIED', message: expect.stringContaining(sentence) });
    expect(error).toMatchObject({ hint: expect.stringMatching(/\[aws\]/) });
  });

  it('are refused with file and profile where the file has no such profile', async () => {
    await expect(
      credentialsFor({ credentialsFile: file, profile: 'typo' }, options())(),
    ).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(`the profile typo in ${file}`),
      hint: expect.stringContaining('[typo]'),
    });
  });

  it("are refused with the same error where an S3 client's request asks for them", async () => {
    const s3: S3Settings = {
      prefix: '',
      region: 'eu-central-1',
      forcePathStyle: false,
      requireObjectLock: true,
      aws: { credentialsFile: file, profile: 'typo' },
      cloudFormation: { export: 'x' },
    };
    const client = await awsClients(s3, options()).s3();
    const error = await client.send(new ListBucketsCommand({})).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(SysbackupError);
    expect(error).toMatchObject({ code: 'ACCESS_DENIED', message: expect.stringContaining('typo') });
  });

  it('are refused where the credentials file is missing', async () => {
    const missing = join(folder, 'missing');
    await expect(credentialsFor({ credentialsFile: missing }, options())()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(missing),
    });
  });

  it.skipIf(process.getuid?.() === 0)(
    'are refused where the file may not be read (needs another user than root)',
    async () => {
      const closed = join(folder, 'closed');
      await writeFile(closed, '');
      await chmod(closed, 0);
      await expect(credentialsFor({ credentialsFile: closed }, options())()).rejects.toMatchObject({
        code: 'CONFIG',
      });
    },
  );
});

describe('a role', () => {
  it("is assumed with the file's credentials, in a session named after user and host", async () => {
    answerWithSessions();
    const start = 1_800_000_000_000;
    const aws = { credentialsFile: file, profile: 'spare', roleArn: ROLE };
    const got = await credentialsFor(aws, options({ now: () => start }))();
    expect(got).toMatchObject({ accessKeyId: 'SESSION1', secretAccessKey: 's', sessionToken: 't' });
    // An hour by this machine's clock, whatever STS's says.
    expect(got.expiration?.getTime()).toBe(start + 60 * MINUTE);
    const [call] = sts.commandCalls(AssumeRoleCommand);
    expect(call?.args[0].input).toMatchObject({ RoleArn: ROLE, RoleSessionName: 'root@web1' });
    const client = call?.thisValue as STSClient;
    expect(await client.config.credentials()).toMatchObject({ accessKeyId: 'AKSPARE' });
  });

  it('is assumed once, and anew before its session ends', async () => {
    answerWithSessions();
    let now = 1_800_000_000_000;
    const provide = credentialsFor({ credentialsFile: file, roleArn: ROLE }, options({ now: () => now }));
    const keys = async () => (await Promise.all([provide(), provide()])).map((got) => got.accessKeyId);
    expect(await keys()).toEqual(['SESSION1', 'SESSION1']);
    now += 54 * MINUTE;
    expect(await keys()).toEqual(['SESSION1', 'SESSION1']);
    now += 2 * MINUTE;
    expect(await keys()).toEqual(['SESSION2', 'SESSION2']);
    expect(sts.commandCalls(AssumeRoleCommand)).toHaveLength(2);
  });

  it.each([
    [{}, ROLE, 'us-east-1'],
    [{ region: 'eu-west-1' }, ROLE, 'eu-west-1'],
    [{ env: { AWS_REGION: 'eu-north-1' } }, ROLE, 'eu-north-1'],
    [{ env: { AWS_DEFAULT_REGION: 'eu-south-1' } }, ROLE, 'eu-south-1'],
    [{}, 'arn:aws-cn:iam::123456789012:role/backup', 'cn-north-1'],
  ])('with %o and %s is asked for in %s', async (more, roleArn, region) => {
    answerWithSessions();
    await credentialsFor({ credentialsFile: file, roleArn }, options(more))();
    const client = sts.commandCalls(AssumeRoleCommand)[0]?.thisValue as STSClient;
    expect(await client.config.region()).toBe(region);
  });

  it('that is refused gives a sentence with the role in it', async () => {
    sts.on(AssumeRoleCommand).rejects(Object.assign(new Error('not authorized'), { name: 'AccessDenied' }));
    await expect(credentialsFor({ credentialsFile: file, roleArn: ROLE }, options())()).rejects.toMatchObject(
      {
        code: 'ACCESS_DENIED',
        message: `cannot assume the role ${ROLE}: not authorized (AccessDenied)`,
        hint: expect.stringContaining('sts:AssumeRole'),
      },
    );
  });
});

describe('kept credentials', () => {
  it('that fail to be refreshed are used while they hold, asked for anew now and then, and not beyond', async () => {
    let now = 0;
    let fails = false;
    const fetch = vi.fn(async () => {
      if (fails) throw new Error('down');
      return { key: fetch.mock.calls.length, expiration: new Date(now + 60 * MINUTE) };
    });
    const provide = keptCredentials(fetch, () => now);
    expect((await provide()).key).toBe(1);
    fails = true;
    now = 56 * MINUTE;
    expect((await provide()).key).toBe(1);
    expect((await provide()).key).toBe(1);
    expect(fetch).toHaveBeenCalledTimes(2);
    now += MINUTE;
    expect((await provide()).key).toBe(1);
    expect(fetch).toHaveBeenCalledTimes(3);
    now = 60 * MINUTE - 5000;
    await expect(provide()).rejects.toThrow('down');
    fails = false;
    expect((await provide()).key).toBe(5);
  });

  it('without an end are fetched once, failures anew', async () => {
    const fetch = vi.fn(async (): Promise<{ key: number; expiration?: Date }> => {
      if (fetch.mock.calls.length === 1) throw new Error('down');
      return { key: 1 };
    });
    const provide = keptCredentials(fetch, () => 0);
    await expect(provide()).rejects.toThrow('down');
    await provide();
    await provide();
    expect(fetch).toHaveBeenCalledTimes(2);
  });
});

describe('the session name', () => {
  it('is what AWS allows, for any user and host', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (user, host) => {
        expect(sessionName(`${user}@${host}`)).toMatch(/^[\w+=,.@-]{2,64}$/);
      }),
    );
    expect(sessionName('')).toMatch(/^[\w+=,.@-]{2,64}$/);
  });

  it('keeps what is allowed', () => {
    expect(sessionName('root@web1.example.net')).toBe('root@web1.example.net');
    expect(sessionName('jürgen@büro pc')).toBe('j-rgen@b-ro-pc');
  });
});

describe("an error of AWS's", () => {
  const named = (name: string, message = 'said so') => Object.assign(new Error(message), { name });

  it.each([
    ['ExpiredToken', 'ACCESS_DENIED'],
    ['InvalidClientTokenId', 'ACCESS_DENIED'],
    ['RequestTimeTooSkewed', 'ACCESS_DENIED'],
    ['TimeoutError', 'STORE_FAILED'],
    ['Error', 'STORE_FAILED'],
  ])('%s is %s', (name, code) => {
    const error = explainAwsError(named(name), 'cannot do it');
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^cannot do it: said so/);
    expect(error.hint !== undefined).toBe(code === 'ACCESS_DENIED');
  });

  it("has the caller's hint for lack of rights, its own for a wrong key", () => {
    expect(explainAwsError(named('AccessDenied'), 'x', 'ask for more').hint).toBe('ask for more');
    expect(explainAwsError(named('InvalidClientTokenId'), 'x', 'ask for more').hint).toContain('access key');
  });

  it('about the region says where to set it', () => {
    const error = explainAwsError(new Error('Region is missing'), 'cannot do it');
    expect(error).toMatchObject({ code: 'CONFIG', hint: expect.stringContaining('[cloudformation]') });
  });

  it('that is ours already stays as it is', () => {
    const ours = new SysbackupError('NOT_FOUND', 'x');
    expect(explainAwsError(ours, 'y')).toBe(ours);
  });
});
