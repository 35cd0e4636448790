import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { CreateStackCommand } from '@aws-sdk/client-cloudformation';
import { CreateRoleCommand } from '@aws-sdk/client-iam';
import { CreateBucketCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { hostname, userInfo } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { archive } from '#src/archive/run.js';
import { type AwsClients, awsClients } from '#src/aws/clients.js';
import { openDestination } from '#src/aws/open-destination.js';
import type { S3Settings } from '#src/config/settings.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { type Ended, runProgram } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { FlakyProxy, type ProxiedRequest } from '../kit/flaky-proxy.js';
import { treeOf } from '../kit/trees.js';
import { startMotoOrSkip } from './moto.js';

const moto = await startMotoOrSkip();
const REGION = 'eu-central-1';
const MINUTE_MS = 60_000;

/** The access key that signed a request. */
function keyOf({ headers }: ProxiedRequest): string | undefined {
  return /Credential=([^/]+)\//.exec(String(headers.authorization))?.[1];
}

function isOfS3({ headers }: ProxiedRequest): boolean {
  return /\/s3\/aws4_request/.test(String(headers.authorization));
}

describe.skipIf(moto === undefined)('archive and restore against moto (needs python3 and PyPI)', () => {
  let proxy: FlakyProxy;
  let administrator: AwsClients;

  const settingsOf = (aws: S3Settings['aws']): S3Settings => ({
    endpointUrl: proxy.endpoint,
    region: REGION,
    prefix: '',
    forcePathStyle: true,
    requireObjectLock: true,
    aws,
    cloudFormation: { export: 'backup-bucket' },
  });

  beforeAll(async () => {
    proxy = await FlakyProxy.start(moto?.url ?? '', () => undefined);
  });
  afterAll(async () => {
    await proxy.stop();
    await moto?.stop();
  });
  beforeEach(async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'administrator');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'any');
    vi.stubEnv('AWS_PROFILE', undefined);
    await moto?.reset();
    administrator = awsClients(settingsOf({}), { env: {}, userAtHost: 'administrator@test' });
    const s3 = await administrator.s3();
    const CreateBucketConfiguration = { LocationConstraint: REGION } as const;
    const Bucket = 'locked-bucket';
    await s3.send(
      new CreateBucketCommand({ Bucket, CreateBucketConfiguration, ObjectLockEnabledForBucket: true }),
    );
    proxy.requests.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  /** So many exports that the bucket's is on the second page. */
  async function exportBucket(): Promise<void> {
    const names = [...Array.from({ length: 110 }, (_, nth) => `another-${nth}`), 'backup-bucket'];
    const outputs = names.map((Name, nth) => [
      `O${nth}`,
      { Value: Name === 'backup-bucket' ? 'locked-bucket' : Name, Export: { Name } },
    ]);
    const TemplateBody = JSON.stringify({
      Resources: { Other: { Type: 'AWS::S3::Bucket', Properties: {} } },
      Outputs: Object.fromEntries(outputs),
    });
    const client = await administrator.cloudFormation();
    await client.send(new CreateStackCommand({ StackName: 'stack', TemplateBody }));
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

  /** A machine with two profiles in `~/.aws/credentials`, and in a file of its own. */
  class Site {
    readonly folder = ConfFolder.make();
    readonly tree = this.folder.at('tree');
    readonly credentials = this.folder.at('credentials');

    constructor() {
      const profile = (name: string, key: string) =>
        `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = x\n`;
      writeFileSync(this.credentials, profile('default', 'FILEDEFAULT') + profile('backup', 'FILEBACKUP'));
      mkdirSync(this.folder.at('.aws'));
      writeFileSync(
        this.folder.at('.aws/credentials'),
        profile('default', 'HOMEDEFAULT') + profile('backup', 'HOMEBACKUP'),
      );
      mkdirSync(this.tree);
      for (const name of ['one', 'two']) writeFileSync(`${this.tree}/${name}`, randomBytes(2000));
      this.folder.picker('tree', `find '${this.tree}' -print0`);
      this.folder.snapshotter('dump', 'echo dumped >&$1');
    }

    conf(aws: string, s3 = '', more = ''): void {
      this.folder.conf(
        `[s3]\nendpoint_url = ${proxy.endpoint}\n${s3}[cloudformation]\nregion = ${REGION}\n[aws]\n${aws}`,
        more,
      );
    }

    run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
      return runProgram([...args, '--conf-dir', this.folder.confDir], {
        env: { HOME: this.folder.folder, ...env },
      });
    }

    /** Archives, restores, compares; all that was sent to S3 meanwhile. */
    async thereAndBack(env: Record<string, string> = {}): Promise<ProxiedRequest[]> {
      expect(await this.run(['archive', '--name', 'web1'], env)).toMatchObject({ code: 0 });
      const target = this.folder.at('target');
      expect(await this.run(['restore', 'web1', '--target', target], env)).toMatchObject({ code: 0 });
      expect(treeOf(target + this.tree)).toEqual(treeOf(this.tree));
      const sent = proxy.requests.filter(isOfS3);
      expect(sent.length).toBeGreaterThan(8);
      return sent;
    }
  }

  it.each([
    ['the profile of the conf', 'profile = backup\n', {}, 'HOMEBACKUP'],
    [
      'the profile of AWS_PROFILE, which wins',
      'profile = default\n',
      { AWS_PROFILE: 'backup' },
      'HOMEBACKUP',
    ],
    ['the default profile, where nothing is set', '', {}, 'HOMEDEFAULT'],
    [
      'the environment, where nothing is set',
      '',
      { AWS_ACCESS_KEY_ID: 'ENVIRONMENT', AWS_SECRET_ACCESS_KEY: 'x' },
      'ENVIRONMENT',
    ],
    ['a credentials file', 'credentials_file = FILE\n', {}, 'FILEDEFAULT'],
    ['a profile of a credentials file', 'credentials_file = FILE\nprofile = backup\n', {}, 'FILEBACKUP'],
  ])('with %s, into a bucket found on the second page of exports', async (_, aws, env, key) => {
    await exportBucket();
    const site = new Site();
    site.conf(aws.replace('FILE', site.credentials));
    const sent = await site.thereAndBack(env);
    expect(new Set(sent.map(keyOf))).toEqual(new Set([key]));
  });

  it('with a role assumed by a credentials file’s user, in a session named user@host', async () => {
    const site = new Site();
    site.conf(
      `credentials_file = ${site.credentials}\nprofile = backup\nrole_arn = ${await role()}\n`,
      'bucket = locked-bucket\n',
    );
    const sent = await site.thereAndBack();
    const assumed = proxy.requests.filter(({ form }) => form?.get('Action') === 'AssumeRole');
    // Once for each of the two commands.
    expect(assumed.map(keyOf)).toEqual(['FILEBACKUP', 'FILEBACKUP']);
    expect(assumed[0]?.form?.get('RoleSessionName')).toBe(`${userInfo().username}@${hostname()}`);
    for (const request of sent) {
      expect(keyOf(request)).toMatch(/^ASIA/);
      expect(request.headers['x-amz-security-token']).toBeDefined();
    }
  });

  it('in a run of nine hours with a role: it is assumed again before each session ends', async () => {
    const site = new Site();
    const roleArn = await role();
    vi.useFakeTimers({ toFake: ['Date'] });
    const s3 = {
      ...settingsOf({ credentialsFile: site.credentials, roleArn }),
      bucket: 'locked-bucket',
    };
    const machine = new BackupMachine();
    for (const name of 'abcdefghijklmnopqr') machine.snapshotter(name, `echo ${name} >&$1`);
    machine.write('file', randomBytes(2000));
    const opened = await openDestination({ kind: 's3', s3 }, { env: {}, userAtHost: 'root@web1' });
    /** When each session's key was given, and how old it was at its last use. */
    const given = new Map<string, number>();
    const ages: number[] = [];
    let looked = 0;
    const look = (): void => {
      for (; looked < proxy.requests.length; looked++) {
        const request = proxy.requests[looked];
        const key = request === undefined || !isOfS3(request) ? undefined : keyOf(request);
        if (key === undefined) continue;
        if (!given.has(key)) given.set(key, Date.now());
        ages.push(Date.now() - (given.get(key) ?? 0));
      }
    };
    const summary = await archive({
      settings: { ...machine.settings, destination: { kind: 's3', s3 } },
      store: opened.store,
      env: { PATH: process.env['PATH'] ?? '' },
      uid: 1000,
      host: 'web1',
      tool: 'test',
      workers: 0,
      onEvent: (event) => {
        if (event.type !== 'stored') return;
        look();
        vi.setSystemTime(Date.now() + 30 * MINUTE_MS);
      },
    });
    look();
    await opened.store.close();
    expect(summary).toMatchObject({ outcome: 'complete', counts: { s: 18 } });
    expect(given.size).toBeGreaterThan(8);
    expect(Math.max(...ages)).toBeLessThan(60 * MINUTE_MS);
    expect(proxy.requests.filter(({ form }) => form?.get('Action') === 'AssumeRole')).toHaveLength(
      given.size,
    );
  });

  it('with a storage class and a prefix: content, bundles and snapshots have the class, manifests do not, all has the prefix', async () => {
    const site = new Site();
    const s3Section = 'bucket = locked-bucket\nstorage_class = STANDARD_IA\nprefix = hosts/web1\n';
    site.conf('', s3Section, '[content]\nbundle_below = 1KiB\n');
    writeFileSync(`${site.tree}/small`, 'goes into a bundle');
    await site.thereAndBack();
    const s3 = await administrator.s3();
    const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: 'locked-bucket' }));
    const classes = Versions.map(({ Key = '', StorageClass }) => [
      Key.split('/').slice(0, 3).join('/'),
      StorageClass,
    ]);
    expect(new Set(classes.map(String))).toEqual(
      new Set([
        'hosts/web1/bundles,STANDARD_IA',
        'hosts/web1/content,STANDARD_IA',
        'hosts/web1/snapshots,STANDARD_IA',
        'hosts/web1/manifests,STANDARD',
      ]),
    );
    const checked = await site.run(['check-config']);
    expect(checked.stderr).toContain('STANDARD_IA is charged for 30 days at least');
  });
});
