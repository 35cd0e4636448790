import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { listBackups } from '#src/audit/list.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { restore } from '#src/restore/restore.js';
import { openS3Store } from '#src/store/s3.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { type CephServer, describeWithCeph } from './ceph.js';

const DOCUMENT = join(import.meta.dirname, '../../docs/permissions.md');
const DAY_MS = 86_400_000;

/** The policy that the document gives for Ceph, for this bucket and backup name. */
function policyOfDocument(bucket: string, backupName: string): string {
  const [, policy = ''] = /^```json ceph\n(.*?)^```$/ms.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  return policy.replaceAll('my-backups', bucket).replaceAll('web1-backup', backupName);
}

/** A bucket under the document's policy, a machine that backs up with its user's rights, and clients of all three. */
async function setUp(ceph: CephServer) {
  const Bucket = await ceph.createBucket();
  const machine = new BackupMachine();
  const owner = new S3Client(ceph.clientConfig());
  const Policy = policyOfDocument(Bucket, machine.settings.backupName);
  await owner.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  const thief = new S3Client(ceph.clientConfig({ keys: await ceph.addUser('web1') }));
  const restorer = new S3Client(ceph.clientConfig({ keys: await ceph.addUser('restorer') }));
  machine.store = await openS3Store({ bucket: Bucket, client: thief });
  return { Bucket, machine, owner, thief, restorer };
}

function inDays(days: number): Date {
  return new Date(Math.ceil((Date.now() + days * DAY_MS) / 1000) * 1000);
}

/** What was answered to each of these, by name. */
async function answersTo(requests: Record<string, () => Promise<unknown>>): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const [name, send] of Object.entries(requests))
    answers[name] = await send().then(
      () => 'done',
      (error: { $metadata?: { httpStatusCode?: number } }) => String(error.$metadata?.httpStatusCode),
    );
  return answers;
}

function refused(requests: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.keys(requests).map((name) => [name, '403']));
}

describeWithCeph('under the policy of docs/permissions.md', {}, (ceph) => {
  it("the machine's credentials back up, and the server refuses all else", async () => {
    const { Bucket, machine, thief, restorer } = await setUp(ceph());
    const path = machine.write('file', 'worth keeping');
    machine.write('long enough', 'for an object of its own '.repeat(100));
    machine.settings.content.bundleBelow = 100;
    machine.snapshotter('dump', 'echo dumped >&$1');
    expect((await machine.archive()).summary.outcome).toBe('complete');
    machine.write('other', 'new');
    machine.settings.content.daysRetained = 60;
    const second = await machine.archive();
    expect(second.summary).toMatchObject({ outcome: 'complete', renewed: 2 });

    const { key: Key = '', version: VersionId = '' } = second.summary.manifest ?? {};
    const id = { Bucket, Key, VersionId };
    const GOVERNANCE = { Mode: 'GOVERNANCE', RetainUntilDate: inDays(1) } as const;
    const bypass = { BypassGovernanceRetention: true };
    const locked = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: inDays(20) } as const;
    const others = { Bucket, Body: 'x', ...locked };
    const rule = { ID: 'x', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 1 } } as const;
    const requests = {
      'read a version': () => thief.send(new GetObjectCommand(id)),
      read: () => thief.send(new GetObjectCommand({ Bucket, Key })),
      head: () => thief.send(new HeadObjectCommand(id)),
      copy: () =>
        thief.send(
          new CopyObjectCommand({
            Bucket,
            Key: `${Key}2`,
            CopySource: `${Bucket}/${Key}?versionId=${VersionId}`,
          }),
        ),
      'shorten the lock': () => thief.send(new PutObjectRetentionCommand({ ...id, Retention: GOVERNANCE })),
      'shorten it with a bypass': () =>
        thief.send(new PutObjectRetentionCommand({ ...id, ...bypass, Retention: GOVERNANCE })),
      'delete a version': () => thief.send(new DeleteObjectCommand(id)),
      'delete it with a bypass': () => thief.send(new DeleteObjectCommand({ ...id, ...bypass })),
      'set a delete marker': () => thief.send(new DeleteObjectCommand({ Bucket, Key })),
      'make public': () => thief.send(new PutObjectAclCommand({ ...id, ACL: 'public-read' })),
      hold: () => thief.send(new PutObjectLegalHoldCommand({ ...id, LegalHold: { Status: 'ON' } })),
      tag: () => thief.send(new PutObjectTaggingCommand({ ...id, Tagging: { TagSet: [] } })),
      "store under another's name": () =>
        thief.send(new PutObjectCommand({ ...others, Key: 'manifests/other-backup/x' })),
      "list another's runs": () =>
        thief.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'manifests/other-backup/' })),
      'list all': () => thief.send(new ListObjectVersionsCommand({ Bucket })),
      'set the lock configuration': () =>
        thief.send(
          new PutObjectLockConfigurationCommand({
            Bucket,
            ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
          }),
        ),
      'suspend versioning': () =>
        thief.send(
          new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }),
        ),
      'set the policy': () => thief.send(new PutBucketPolicyCommand({ Bucket, Policy: '{}' })),
      'delete the policy': () => thief.send(new DeleteBucketPolicyCommand({ Bucket })),
      'set a lifecycle': () =>
        thief.send(
          new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [rule] } }),
        ),
    };
    expect(await answersTo(requests)).toEqual(refused(requests));

    const store = await openS3Store({ bucket: Bucket, client: restorer });
    const run = await resolveRun(store, 'latest');
    const target = join(machine.folder, 'target');
    const summary = await restore({ store, run, target, spoolFolder: machine.folder });
    expect(summary.failed).toBe(0);
    expect(readFileSync(join(target, path), 'utf8')).toBe('worth keeping');
  });

  it('who restores reads all, and changes nothing', async () => {
    const { Bucket, machine, restorer } = await setUp(ceph());
    machine.write('file', 'worth keeping');
    const { summary } = await machine.archive();
    const store = await openS3Store({ bucket: Bucket, client: restorer });
    const [backup] = await listBackups(store, { footers: true });
    expect(backup).toMatchObject({ run: summary.run, problem: undefined, lock: { mode: 'GOVERNANCE' } });

    const id = { Bucket, Key: backup?.key ?? '', VersionId: backup?.version ?? '' };
    const requests = {
      store: () => restorer.send(new PutObjectCommand({ Bucket, Key: 'content/x', Body: 'x' })),
      lock: () =>
        restorer.send(
          new PutObjectRetentionCommand({
            ...id,
            Retention: { Mode: 'GOVERNANCE', RetainUntilDate: inDays(99) },
          }),
        ),
      'delete a version': () => restorer.send(new DeleteObjectCommand(id)),
      'delete it with a bypass': () =>
        restorer.send(new DeleteObjectCommand({ ...id, BypassGovernanceRetention: true })),
      'set a delete marker': () => restorer.send(new DeleteObjectCommand({ Bucket, Key: id.Key })),
      'make public': () => restorer.send(new PutObjectAclCommand({ ...id, ACL: 'public-read' })),
    };
    expect(await answersTo(requests)).toEqual(refused(requests));
  });

  it("what is stored without a lock gets the bucket's", async () => {
    const { Bucket, owner, thief } = await setUp(ceph());
    const DefaultRetention = { Mode: 'GOVERNANCE', Days: 5 } as const;
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } } as const;
    await owner.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
    const Key = `content/${'0'.repeat(64)}`;
    const { VersionId } = await thief.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const { Retention } = await thief.send(new GetObjectRetentionCommand({ Bucket, Key, VersionId }));
    expect(Retention?.Mode).toBe('GOVERNANCE');
    expect(Retention?.RetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 4.9 * DAY_MS);
  });
});
