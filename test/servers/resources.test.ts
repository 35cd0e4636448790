import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CloudFormationClient, ListExportsCommand } from '@aws-sdk/client-cloudformation';
import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, run } from '../unit/cli/command.js';
import { administrator, credentialsOf, type Identity, REGION, underRole } from './admin.js';
import { lintTemplate, startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);
const DAY = 86_400_000;

type Role = 'backup' | 'restore' | 'audit' | 'renew';

describe.skipIf(moto === undefined)('resources in AWS, against moto (needs python3 and PyPI)', () => {
  const url = moto?.url ?? '';
  const server = ['--endpoint-url', url, '--cf-region', REGION];
  const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-resources-'));
  let admin: Identity;
  let outputs: Record<string, string>;
  const roles = new Map<Role, Identity>();

  beforeAll(async () => {
    admin = await administrator(url);
    await moto?.enforceIamAfter(0);
    const made = await run(['create-resources', ...server, '--bucket-name', 'locked-away', '--json'], {
      env: admin,
    });
    expect(made).toMatchObject({ code: 0 });
    outputs = (JSON.parse(made.stdout) as { outputs: Record<string, string> }).outputs;
    for (const role of ['backup', 'restore', 'audit', 'renew'] as const) {
      const arn = outputs[`${role[0]?.toUpperCase()}${role.slice(1)}RoleArn`] ?? '';
      roles.set(role, await underRole(url, admin, arn));
    }
    const data = join(folder, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'letter'), 'dear reader\n');
    mkdirSync(join(folder, 'pickers.d'));
    writeFileSync(join(folder, 'pickers.d', 'data'), `#!/bin/sh\nfind ${data}\n`);
    chmodSync(join(folder, 'pickers.d', 'data'), 0o755);
    writeFileSync(
      join(folder, 'conf'),
      `[s3]\nbucket = locked-away\nendpoint_url = ${url}\nregion = ${REGION}\n[state]\npath = state\n[content]\nbundle_below = 0\n`,
    );
    expect(await as('backup', 'archive', '--name', 'web1-backup')).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await moto?.stop();
    rmSync(folder, { recursive: true });
  });

  async function as(role: Role, ...args: string[]): Promise<Ended> {
    return await run([...args, '--conf-dir', folder], { env: roles.get(role) ?? {} });
  }

  function s3(identity: Identity | undefined): S3Client {
    return new S3Client({
      endpoint: url,
      region: REGION,
      forcePathStyle: true,
      credentials: credentialsOf(identity ?? {}),
    });
  }

  /** The newest version below a prefix, as the administrator sees it. */
  async function versionBelow(prefix: string): Promise<{ Bucket: string; Key: string; VersionId: string }> {
    const { Versions } = await s3(admin).send(
      new ListObjectVersionsCommand({ Bucket: 'locked-away', Prefix: prefix }),
    );
    const { Key = '', VersionId = '' } = Versions?.[0] ?? {};
    return { Bucket: 'locked-away', Key, VersionId };
  }

  it('cfn-lint finds nothing in the template, and is not blind', async () => {
    const template = fileURLToPath(new URL('../../templates/cloudformation.yaml', import.meta.url));
    expect(await lintTemplate(template)).toBe('');
    const spoiled = join(folder, 'spoiled.yaml');
    writeFileSync(
      spoiled,
      readFileSync(template, 'utf8').replace('NoncurrentDays: 1', 'NoncurrentDays: soon'),
    );
    expect(await lintTemplate(spoiled)).toContain("'soon' is not of type");
  });

  it('the bucket locks, is closed to the public, and has its name exported', async () => {
    const client = s3(admin);
    const { ObjectLockConfiguration } = await client.send(
      new GetObjectLockConfigurationCommand({ Bucket: 'locked-away' }),
    );
    expect(ObjectLockConfiguration).toMatchObject({
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 14 } },
    });
    const { PublicAccessBlockConfiguration: blocked } = await client.send(
      new GetPublicAccessBlockCommand({ Bucket: 'locked-away' }),
    );
    expect(Object.values(blocked ?? {})).toEqual([true, true, true, true]);
    const cloudFormation = new CloudFormationClient({
      endpoint: url,
      region: REGION,
      credentials: credentialsOf(admin),
    });
    const { Exports } = await cloudFormation.send(new ListExportsCommand({}));
    expect(Exports).toContainEqual(expect.objectContaining({ Name: 'backup-bucket', Value: 'locked-away' }));
  });

  it('run again it finds what stands, and says what would be another thing', async () => {
    const again = await run(['create-resources', ...server, '--json'], { env: admin });
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ result: 'existing', outputs });
    const other = await run(['create-resources', ...server, '--mode', 'COMPLIANCE'], { env: admin });
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('its RetentionMode is GOVERNANCE, not COMPLIANCE');
  });

  it('who backs up can neither read, nor delete, nor shorten, nor hold, nor store without a lock', async () => {
    const client = s3(roles.get('backup'));
    const content = await versionBelow('content/');
    const put = { Bucket: 'locked-away', Key: `content/${'a'.repeat(64)}`, Body: 'x' };
    const lock = (mode: 'GOVERNANCE' | 'COMPLIANCE', days: number) => ({
      ObjectLockMode: mode,
      ObjectLockRetainUntilDate: new Date(Date.now() + days * DAY),
    });
    await client.send(new PutObjectCommand({ ...put, ...lock('GOVERNANCE', 90) }));
    const refused = [
      client.send(new GetObjectCommand(content)),
      client.send(new DeleteObjectCommand(content)),
      client.send(new DeleteObjectCommand({ ...content, BypassGovernanceRetention: true })),
      client.send(new DeleteObjectCommand({ Bucket: content.Bucket, Key: content.Key })),
      client.send(new PutObjectLegalHoldCommand({ ...content, LegalHold: { Status: 'ON' } })),
      client.send(
        new PutObjectRetentionCommand({
          ...content,
          Retention: { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + DAY) },
        }),
      ),
      client.send(
        new PutObjectRetentionCommand({
          ...content,
          Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 50 * DAY) },
        }),
      ),
      client.send(new PutObjectCommand(put)),
      client.send(new PutObjectCommand({ ...put, ...lock('COMPLIANCE', 20) })),
      client.send(new PutObjectCommand({ ...put, ...lock('GOVERNANCE', 36_500) })),
      client.send(new PutObjectCommand({ ...put, ...lock('GOVERNANCE', 20), Key: 'elsewhere' })),
    ];
    for (const result of await Promise.allSettled(refused))
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'AccessDenied' } });
  });

  it('who renews can neither store nor read what is no manifest', async () => {
    const client = s3(roles.get('renew'));
    await expect(client.send(new GetObjectCommand(await versionBelow('content/')))).rejects.toThrow(
      /denied/i,
    );
    const manifest = await client.send(new GetObjectCommand(await versionBelow('manifests/')));
    expect(manifest.ContentLength).toBeGreaterThan(0);
    await expect(
      client.send(
        new PutObjectCommand({
          Bucket: 'locked-away',
          Key: 'manifests/web1-backup/x',
          Body: 'x',
          ObjectLockMode: 'GOVERNANCE',
          ObjectLockRetainUntilDate: new Date(Date.now() + DAY),
        }),
      ),
    ).rejects.toThrow(/denied/i);
  });

  it('not even an administrator removes bucket or policy but through CloudFormation', async () => {
    const client = s3(admin);
    await expect(client.send(new DeleteBucketCommand({ Bucket: 'locked-away' }))).rejects.toThrow(/denied/i);
    await expect(
      client.send(new PutBucketPolicyCommand({ Bucket: 'locked-away', Policy: '{}' })),
    ).rejects.toThrow(/denied/i);
  });

  it('an update shows what changes, asks, and refuses another bucket', async () => {
    const unasked = await run(['update-resources', ...server, '--max-lock-days', '400'], { env: admin });
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain('--yes');
    const replaced = await run(['update-resources', ...server, '--bucket-name', 'another', '--yes'], {
      env: admin,
    });
    expect(replaced.code).toBe(2);
    expect(replaced.stderr).toContain('cannot become another');
    const updated = await run(['update-resources', ...server, '--max-lock-days', '400', '--yes', '--json'], {
      env: admin,
    });
    expect(updated.code).toBe(0);
    expect(JSON.parse(updated.stdout)).toMatchObject({ result: 'updated' });
    const missing = await run(['update-resources', ...server, '--stack-name', 'nothing', '--yes'], {
      env: admin,
    });
    expect(missing.code).toBe(10);
  });

  it('who may not make stacks is told so', async () => {
    const refused = await run(['create-resources', ...server, '--package-name', 'second'], {
      env: roles.get('restore') ?? {},
    });
    expect(refused.code).toBe(12);
    expect(refused.stderr).toContain('cloudformation:');
  });
});
