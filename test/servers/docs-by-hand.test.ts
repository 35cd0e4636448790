import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { PutBucketPolicyCommand, PutBucketLifecycleConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../kit/temporary.js';
import { MAIN } from '../unit/cli/command.js';
import { administrator } from './admin.js';
import { describeWithCeph, type S3Keys } from './ceph.js';
import { folderOfAws } from './docs-aws-cli.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const run = promisify(execFile);
const DOCUMENT = join(import.meta.dirname, '../../docs/by-hand.md');
const LOCATION = ' \\\n  --create-bucket-configuration LocationConstraint=eu-central-1';

interface Typed {
  stdout: string;
  stderr: string;
}

/** A person who types what docs/by-hand.md says, on a machine whose /etc/backup is elsewhere. */
class Person {
  readonly folder = temporaryFolder();
  readonly bucket: string;
  readonly #env: Record<string, string>;
  /** As typed, but for names and keys that are the test's own. */
  readonly blocks: string[];

  constructor(bucket: string, aws: string | undefined, env: Record<string, string>, keys?: S3Keys) {
    this.bucket = bucket;
    mkdirSync(join(this.folder, 'bin'));
    const script = `#!/bin/sh\ncommand=$1\nshift\nexec '${process.execPath}' '${MAIN}' "$command" --conf-dir '${this.folder}/backup' "$@"\n`;
    writeFileSync(join(this.folder, 'bin/s3-sysbackup'), script, { mode: 0o755 });
    const PATH = [join(this.folder, 'bin'), ...(aws === undefined ? [] : [aws]), process.env['PATH'] ?? ''];
    this.#env = { HOME: this.folder, PATH: PATH.join(delimiter), ...env };
    const text = readFileSync(DOCUMENT, 'utf8')
      .replaceAll('my-backups', bucket)
      .replaceAll('/etc/backup', join(this.folder, 'backup'))
      .replaceAll('find /etc -xdev', `find '${this.folder}/backup' -xdev`);
    this.blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines = '']) =>
      keys === undefined
        ? lines
        : lines
            .replace('AKIAIOSFODNN7EXAMPLE', keys.accessKeyId)
            .replace('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', keys.secretAccessKey),
    );
  }

  async type(block: string, more: Record<string, string> = {}): Promise<Typed> {
    return await run('sh', ['-euc', block], { cwd: this.folder, env: { ...this.#env, ...more } });
  }
}

describeWithCeph('docs/by-hand.md, typed against Ceph (needs aws or PyPI)', {}, (ceph) => {
  let aws: string | undefined;
  beforeAll(async () => {
    aws = await folderOfAws();
  });

  function environment(): Record<string, string> {
    const { accessKeyId, secretAccessKey } = ceph().keys;
    return {
      AWS_ENDPOINT_URL_S3: ceph().endpoint,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: 'us-east-1',
    };
  }

  it('makes a bucket that locks and lets go, and a machine that stores in it', {
    timeout: 300_000,
  }, async () => {
    const person = new Person(`hand-${Date.now().toString(36)}`, aws, environment(), ceph().keys);
    for (const [number, block] of person.blocks.entries()) {
      const typed = await person.type(block.replace(LOCATION, ''));
      if (number < person.blocks.length - 1) continue;
      expect(typed.stdout).toMatch(/^ {2}lifecycle +has rules /m);
      expect(typed.stdout).toMatch(/run \S+ is complete$/m);
      expect(typed.stderr).toBe('');
    }
    const { stdout } = await person.type(`aws s3api get-object-lock-configuration --bucket ${person.bucket}`);
    expect(JSON.parse(stdout)).toMatchObject({
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 14 } } },
    });
  });

  it('check-config --connect warns of a bucket without its rules, and says where it may not see them', async () => {
    const Bucket = await ceph().createBucket();
    const owner = new S3Client(ceph().clientConfig());
    const person = new Person(Bucket, aws, environment(), ceph().keys);
    const [conf = '', picker = '', commands = ''] = person.blocks.slice(-3);
    await person.type(conf + picker);
    const check = commands.split('\n')[0] ?? '';
    expect(check).toBe('s3-sysbackup check-config --connect');
    const bare = await person.type(check);
    expect(bare.stderr).toMatch(/^warning: nothing removes what has lapsed: /);
    expect(bare.stdout).toMatch(/^ {2}lifecycle +no rules /m);

    const Rules = [
      { ID: 'x', Status: 'Enabled' as const, Prefix: '', NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
    ];
    await owner.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }),
    );
    const half = await person.type(check);
    expect(half.stderr).toMatch(/^warning: what nobody renews stays: /);

    const guest = await ceph().addUser('guest');
    const Action = ['s3:ListBucketVersions', 's3:GetBucketObjectLockConfiguration', 's3:GetBucketVersioning'];
    const Statement = [
      {
        Effect: 'Allow',
        Principal: { AWS: ['arn:aws:iam:::user/guest'] },
        Action,
        Resource: [`arn:aws:s3:::${Bucket}`],
      },
    ];
    await owner.send(
      new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
    );
    const key = `aws_access_key_id = ${guest.accessKeyId}\naws_secret_access_key = ${guest.secretAccessKey}\n`;
    writeFileSync(join(person.folder, 'backup/credentials'), `[default]\n${key}`);
    const blind = await person.type(check);
    expect(blind.stderr).toBe('');
    expect(blind.stdout).toMatch(/^ {2}lifecycle +cannot be seen /m);
    owner.destroy();
  });
});

const moto = await startMotoOrSkip(WITH_LOCKS);

describe.skipIf(moto === undefined)('docs/by-hand.md, typed against moto (needs python3, PyPI)', () => {
  it('makes the bucket on Amazon’s S3 as it stands', { timeout: 300_000 }, async () => {
    try {
      const admin = await administrator(moto?.url ?? '');
      const person = new Person('my-backups', await folderOfAws(), {
        ...admin,
        AWS_ENDPOINT_URL: moto?.url ?? '',
      });
      const bucketBlocks = person.blocks.filter((block) => block.includes('aws s3api '));
      expect(bucketBlocks).toHaveLength(3);
      for (const block of bucketBlocks) await person.type(block);
      const { stdout } = await person.type(
        'aws s3api get-bucket-lifecycle-configuration --bucket my-backups',
      );
      expect((JSON.parse(stdout) as { Rules: unknown[] }).Rules).toHaveLength(2);
    } finally {
      await moto?.stop();
    }
  });
});
