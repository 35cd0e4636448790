/** What only AWS has, against moto: objects that must be thawed, roles, MFA. */
import {
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { eventsIn, runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { atTerminal, hasScript } from '../unit/cli/terminal.js';
import { startMotoOrSkip } from './moto.js';

const moto = await startMotoOrSkip();
const REGION = 'eu-central-1';
const ACCOUNT = '123456789012';

describe.skipIf(moto === undefined)('restore against moto (needs python3 and PyPI)', () => {
  const endpoint = moto?.url ?? '';
  const administrator = { AWS_ACCESS_KEY_ID: 'administrator', AWS_SECRET_ACCESS_KEY: 'any' };
  const access = {
    endpoint,
    region: REGION,
    credentials: { accessKeyId: 'administrator', secretAccessKey: 'any' },
  };

  afterAll(async () => {
    await moto?.stop();
  });
  beforeEach(async () => {
    await moto?.enforceIamAfter(undefined);
    await moto?.reset();
    const s3 = new S3Client({ ...access, forcePathStyle: true });
    await s3.send(
      new CreateBucketCommand({
        Bucket: 'bucket',
        ObjectLockEnabledForBucket: true,
        CreateBucketConfiguration: { LocationConstraint: REGION },
      }),
    );
  });

  /** Three files in the bucket, each an object of its own. */
  async function archived(more = ''): Promise<{ backup: ConfFolder; data: string }> {
    const backup = ConfFolder.make();
    backup.conf(
      `[s3]\nbucket = bucket\nendpoint_url = ${endpoint}\nregion = ${REGION}\n${more}`,
      '[content]\nbundle_below = 0\n',
    );
    const data = backup.at('data');
    mkdirSync(data);
    for (const name of ['a', 'b', 'c']) writeFileSync(join(data, name), name.repeat(1000));
    backup.picker('data', `find '${data}' -print0`);
    const run = await runProgram(['archive', '--conf-dir', backup.confDir, '--json'], { env: administrator });
    expect([run.code, run.stderr]).toEqual([0, expect.any(String)]);
    return { backup, data };
  }

  it('tells what is frozen, asks for it, and goes on when it is there', async () => {
    const { backup, data } = await archived('storage_class = GLACIER\n');
    const target = backup.at('target');
    const args = ['restore', '--conf-dir', backup.confDir, '--target', target];
    const told = await runProgram(args, { env: administrator });
    expect(told.code).toBe(3);
    expect(told.stdout).toMatch(/frozen +3 files/);
    expect(told.stdout).toMatch(
      /3 objects with 2\.93 KiB in GLACIER: .*bulk 5 to 12 hours for (?:under )?\$0\.\d+/,
    );
    expect(told.stdout).toContain('--thaw bulk');
    expect(readdirSync(join(target, data))).toEqual([]);

    const asked = await runProgram([...args, '--json', '--thaw', 'bulk', '--thaw-days', '3'], {
      env: administrator,
    });
    expect(asked.code).toBe(3);
    expect(eventsIn(asked.stdout, 'problem')).toMatchObject([{ code: 'frozen' }]);
    expect(summaryIn(asked.stdout)).toMatchObject({
      frozen: 3,
      frozenObjects: { thaw: { tier: 'bulk', days: 3, done: { asked: { objects: 3, bytes: 3000 } } } },
    });

    // moto thaws at once.
    const there = await runProgram([...args, '--thaw', 'bulk'], { env: administrator });
    expect([there.code, there.stdout]).toEqual([0, expect.not.stringContaining('frozen')]);
    expect(readFileSync(join(target, data, 'c'), 'utf8')).toBe('c'.repeat(1000));
  });

  /** A user who may only take the role, and the role, which may only read. */
  async function restoreRole(): Promise<Record<string, string>> {
    const iam = new IAMClient(access);
    const policy = async (name: string, actions: string[]): Promise<string> => {
      const PolicyDocument = JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
      });
      return (
        (await iam.send(new CreatePolicyCommand({ PolicyName: name, PolicyDocument }))).Policy?.Arn ?? ''
      );
    };
    const AssumeRolePolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: '*' } }],
    });
    await iam.send(new CreateRoleCommand({ RoleName: 'my-backup-restore', AssumeRolePolicyDocument }));
    const read = await policy('read', ['s3:GetObject', 's3:GetObjectVersion', 's3:ListBucketVersions']);
    await iam.send(new AttachRolePolicyCommand({ RoleName: 'my-backup-restore', PolicyArn: read }));
    await iam.send(new CreateUserCommand({ UserName: 'me' }));
    const take = await policy('take', ['sts:AssumeRole', 'sts:GetCallerIdentity', 'sts:GetSessionToken']);
    await iam.send(new AttachUserPolicyCommand({ UserName: 'me', PolicyArn: take }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'me' }));
    return {
      AWS_ACCESS_KEY_ID: AccessKey?.AccessKeyId ?? '',
      AWS_SECRET_ACCESS_KEY: AccessKey?.SecretAccessKey ?? '',
    };
  }

  it.each([
    ['its ARN', ['--role-arn', `arn:aws:iam::${ACCOUNT}:role/my-backup-restore`]],
    ['the name of the package', ['--package', 'my-backup']],
  ])('takes the restore role by %s, without which nothing can be read', async (_what, flags) => {
    const { backup, data } = await archived();
    const env = await restoreRole();
    await moto?.enforceIamAfter(0);
    const target = backup.at('target');
    const args = ['restore', '--conf-dir', backup.confDir, '--target', target];
    expect((await runProgram(args, { env })).code).toBe(12);
    const ended = await runProgram([...args, ...flags], { env });
    expect([ended.code, ended.stderr]).toEqual([0, expect.not.stringContaining('denied')]);
    expect(readdirSync(join(target, data))).toEqual(['a', 'b', 'c']);
  });

  it.skipIf(!hasScript)('asks for the code of an MFA device at the terminal, until it is one', async () => {
    const { backup, data } = await archived();
    const env = await restoreRole();
    const device = `arn:aws:iam::${ACCOUNT}:mfa/me`;
    const target = backup.at('target');
    const { code, screen } = await atTerminal(
      [
        'restore',
        '--conf-dir',
        backup.confDir,
        '--target',
        target,
        '--package',
        'my-backup',
        '--mfa-device',
        device,
      ],
      {
        env,
        answers: ['12\n', '123456\n'].map((type) => ({ to: `Code of the MFA device ${device}: `, type })),
      },
    );
    expect([code, screen]).toEqual([0, expect.stringContaining('restored to')]);
    expect(readdirSync(join(target, data))).toHaveLength(3);
  });
});
