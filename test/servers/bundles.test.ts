import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeAll, expect, it } from 'vitest';
import { type Ended, runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { documentedPolicy } from '../kit/documented-policy.js';
import { type CephServer, describeWithCeph, type S3Keys } from './ceph.js';

const TEXT = 'some text that gets smaller when it is compressed, ';

type Users = Record<'web1' | 'restorer' | 'renewer', S3Keys>;

interface Machine {
  backup: ConfFolder;
  bucket: string;
  tree: string;
  owner: S3Client;
  /** Who may read. */
  reader: S3Client;
  /** Runs the built program with the conf, as the machine does or as who restores. */
  run: (args: readonly string[], as?: 'machine' | 'restore') => Promise<Ended>;
}

function section({ accessKeyId, secretAccessKey }: S3Keys): string {
  return `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
}

/** A machine under the documented policy: its credentials can add, and those of a profile read. */
async function setUp(ceph: CephServer, users: Users, content = ''): Promise<Machine> {
  const backup = ConfFolder.make();
  const bucket = await ceph.createBucket();
  const owner = new S3Client(ceph.clientConfig());
  const Policy = JSON.stringify(documentedPolicy(bucket, 'test-backup'));
  await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  const credentials = backup.at('credentials');
  writeFileSync(credentials, `[default]\n${section(users.web1)}`, { mode: 0o600 });
  const config = backup.at('config');
  writeFileSync(config, `[profile restore]\nregion = us-east-1\n${section(users.restorer)}`);
  backup.conf(
    `[s3]\nbucket = ${bucket}\nendpoint_url = ${ceph.endpoint}\nregion = us-east-1\n[aws]\ncredentials_file = ${credentials}\n`,
    `[content]\nbundle_below = 8 KiB\n${content}`,
  );
  const tree = backup.at('tree');
  mkdirSync(tree);
  backup.picker('tree', `find '${tree}' -print0`);
  for (let file = 0; file < 300; file++)
    writeFileSync(join(tree, String(file)), TEXT.repeat(file % 40) + String(file));
  writeFileSync(join(tree, 'large'), TEXT.repeat(10_000));
  const run = (args: readonly string[]): Promise<Ended> =>
    runProgram([...args, '--conf-dir', backup.confDir], { env: { AWS_CONFIG_FILE: config } });
  const store = [
    '--bucket',
    bucket,
    '--endpoint-url',
    ceph.endpoint,
    '--region',
    'us-east-1',
    '--profile',
    'restore',
  ];
  return {
    backup,
    bucket,
    tree,
    owner,
    reader: new S3Client(ceph.clientConfig({ keys: users.restorer })),
    run: (args, as = 'machine') =>
      as === 'machine' ? run(args) : runProgram([...args, ...store], { env: { AWS_CONFIG_FILE: config } }),
  };
}

async function archive({ run }: Machine): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(['archive', '--name', 'test-backup', '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return summaryIn(stdout);
}

async function bundlesOf({ owner, bucket }: Machine): Promise<{ Key: string; VersionId: string }[]> {
  const { Versions = [] } = await owner.send(
    new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'bundles/' }),
  );
  return Versions.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId }));
}

describeWithCeph('bundles in a bucket', {}, (ceph) => {
  const users = {} as Users;

  beforeAll(async () => {
    users.web1 = await ceph().addUser('web1');
    users.restorer = await ceph().addUser('restorer');
    users.renewer = await ceph().addUser('renewer');
  });

  it.each(['gzip', 'none'])(
    'are tars that GNU tar lists and extracts, each member the content it is named by: %s',
    async (compression) => {
      const machine = await setUp(ceph(), users, `compression = ${compression}\n`);
      await archive(machine);
      const bundles = await bundlesOf(machine);
      const [bundle = { Key: '', VersionId: '' }] = bundles;
      expect(bundles).toHaveLength(1);
      const { Body } = await machine.reader.send(new GetObjectCommand({ Bucket: machine.bucket, ...bundle }));
      const tar = machine.backup.at('bundle.tar');
      writeFileSync(tar, (await Body?.transformToByteArray()) ?? '');
      expect(`bundles/${createHash('sha256').update(readFileSync(tar)).digest('hex')}.tar`).toBe(bundle.Key);
      const names = execFileSync('tar', ['tf', tar], { encoding: 'utf8' }).trim().split('\n');
      expect(names).toHaveLength(300);
      const out = machine.backup.at('out');
      mkdirSync(out);
      execFileSync('tar', ['xf', tar, '-C', out]);
      expect(readdirSync(out).sort()).toEqual([...names].sort());
      for (const name of names)
        expect(
          createHash('sha256')
            .update(readFileSync(join(out, name)))
            .digest('hex'),
        ).toBe(name);
      const magic = readFileSync(tar).toString('hex', 0, 2);
      expect(magic === '1f8b').toBe(compression === 'gzip');
    },
  );

  it('are known to ls, cat, diff, restore, verify and renew', async () => {
    const machine = await setUp(ceph(), users);
    const { run: first } = await archive(machine);
    writeFileSync(join(machine.tree, '7'), 'changed');
    const { run: second } = await archive(machine);
    const bundles = await bundlesOf(machine);
    expect(bundles).toHaveLength(2);

    const cat = await machine.run(['cat', 'test-backup', join(machine.tree, '39')], 'restore');
    expect(cat).toMatchObject({ code: 0, stdout: `${TEXT.repeat(39)}39` });
    const diff = await machine.run(['diff', String(first), String(second)], 'restore');
    expect(diff.code).toBe(0);
    expect(diff.stdout.match(new RegExp(`${machine.tree}/\\d+`, 'g'))).toEqual([join(machine.tree, '7')]);
    const target = machine.backup.at('target');
    mkdirSync(target);
    expect((await machine.run(['restore', 'test-backup', '--target', target], 'restore')).code).toBe(0);
    execFileSync('diff', ['-r', machine.tree, join(target, machine.tree)]);

    const verified = await machine.run(['verify', '--read-data', '--json'], 'restore');
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ checked: { existence: 3, locks: 3, data: 3 } });
    const renewer = runProgram(
      [
        'renew',
        '--retain-days',
        '60',
        '--bucket',
        machine.bucket,
        '--endpoint-url',
        ceph().endpoint,
        '--json',
      ],
      {
        env: {
          AWS_REGION: 'us-east-1',
          AWS_ACCESS_KEY_ID: users.renewer.accessKeyId,
          AWS_SECRET_ACCESS_KEY: users.renewer.secretAccessKey,
        },
      },
    );
    expect((await renewer).code).toBe(0);
    for (const bundle of bundles) {
      const { Retention } = await machine.reader.send(
        new GetObjectRetentionCommand({ Bucket: machine.bucket, ...bundle }),
      );
      expect(Retention?.RetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 59 * 86_400_000);
    }

    const [gone = { Key: '', VersionId: '' }] = bundles;
    const BypassGovernanceRetention = true;
    await machine.owner.send(
      new DeleteObjectCommand({ Bucket: machine.bucket, ...gone, BypassGovernanceRetention }),
    );
    const missing = await machine.run(['verify'], 'restore');
    expect(missing.code).toBe(1);
    expect(missing.stdout).toContain(gone.Key);
    expect(missing.stdout).toContain(`${machine.tree}/`);
  });

  it('are not stored again once a lost catalog was read back', async () => {
    const machine = await setUp(ceph(), users);
    await archive(machine);
    writeFileSync(join(machine.tree, '7'), 'changed');
    await archive(machine);
    const before = await bundlesOf(machine);
    rmSync(machine.backup.state, { recursive: true });

    const own = await machine.run(['rebuild-catalog', '--name', 'test-backup']);
    expect(own.code).toBe(12);
    expect(own.stderr).toContain('--profile');
    const rebuilt = await machine.run([
      'rebuild-catalog',
      '--name',
      'test-backup',
      '--profile',
      'restore',
      '--json',
    ]);
    expect({ code: rebuilt.code, stderr: rebuilt.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({
      objects: 1,
      bundles: 2,
      members: 300,
      unknownLocks: 0,
      missing: 0,
      refused: 0,
      requests: { head: 3, get: 3 },
    });

    const summary = await archive(machine);
    expect(summary).toMatchObject({ stored: { objects: 0 }, renewed: 0, read: { files: 301 } });
    expect(summary['requests']).toMatchObject({ put: 1 });
    expect(summary['requests']).not.toHaveProperty('put-retention');
    expect(await bundlesOf(machine)).toEqual(before);
    const { code } = await machine.run(['verify', 'test-backup', '--read-data'], 'restore');
    expect(code).toBe(0);
  });

  it('are stored again where it was not', async () => {
    const machine = await setUp(ceph(), users);
    await archive(machine);
    rmSync(machine.backup.state, { recursive: true });
    expect(await archive(machine)).toMatchObject({ stored: { objects: 1 } });
    expect(await bundlesOf(machine)).toHaveLength(2);
  });
});
