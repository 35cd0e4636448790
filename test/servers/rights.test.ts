import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ObjectVersion,
  PutBucketAclCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { openS3Store } from '#src/store/s3.js';
import { type Ended, runProgram, summaryIn } from '../kit/built-program.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { withoutRight } from '../kit/documented-policy.js';
import { restoreTree, treeOf } from '../kit/trees.js';
import { type CephServer, describeWithCeph, type S3Keys } from './ceph.js';
import { type GuardedBucket, guardedBucket } from './least-rights.js';

const BACKUP = `${hostname()}-backup`;
const DAY_MS = 86_400_000;

function inDays(days: number): Date {
  return new Date(Math.ceil((Date.now() + days * DAY_MS) / 1000) * 1000);
}

const LOCKED = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: inDays(30) } as const;
const BYPASS = { BypassGovernanceRetention: true } as const;

interface Version {
  Bucket: string;
  Key: string;
  VersionId: string;
}

type Attempt = () => Promise<unknown>;

/** What a thief does to each version that is stored. */
const ATTEMPTS: [name: string, attempts: (thief: S3Client, id: Version) => Attempt[]][] = [
  [
    'to delete a version, with a bypass, and many at once',
    (thief, id) => [
      () => thief.send(new DeleteObjectCommand(id)),
      () => thief.send(new DeleteObjectCommand({ ...id, ...BYPASS })),
      () => thief.send(deletionOf(id)),
    ],
  ],
  [
    'to set a delete marker',
    (thief, { Bucket, Key }) => [() => thief.send(new DeleteObjectCommand({ Bucket, Key }))],
  ],
  [
    'to shorten a lock, with a bypass, and to take it off',
    (thief, id) => [
      () => thief.send(lockOf(id, 1)),
      () => thief.send(new PutObjectRetentionCommand({ ...lockOf(id, 1).input, ...BYPASS })),
      () => thief.send(new PutObjectRetentionCommand({ ...id, ...BYPASS, Retention: {} })),
    ],
  ],
  [
    'to read a version, its size, and to copy it to a bucket of his own',
    (thief, { Bucket, Key, VersionId }) => [
      () => thief.send(new GetObjectCommand({ Bucket, Key, VersionId })),
      () => thief.send(new GetObjectCommand({ Bucket, Key })),
      () => thief.send(new HeadObjectCommand({ Bucket, Key, VersionId })),
      async () => {
        const own = `own-${randomBytes(6).toString('hex')}`;
        await thief.send(new CreateBucketCommand({ Bucket: own }));
        const CopySource = `${Bucket}/${Key}?versionId=${VersionId}`;
        await thief.send(new CopyObjectCommand({ Bucket: own, Key: 'copy', CopySource }));
      },
    ],
  ],
  [
    'to make an object or the bucket public',
    (thief, { Bucket, ...id }) => [
      () => thief.send(new PutObjectAclCommand({ Bucket, ...id, ACL: 'public-read' })),
      () => thief.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' })),
    ],
  ],
  [
    'to hold a version for ever',
    (thief, id) => [() => thief.send(new PutObjectLegalHoldCommand({ ...id, LegalHold: { Status: 'ON' } }))],
  ],
  [
    'to change the lock configuration',
    (thief, { Bucket }) => [
      () =>
        thief.send(
          new PutObjectLockConfigurationCommand({
            Bucket,
            ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
          }),
        ),
    ],
  ],
  [
    'to suspend versioning',
    (thief, { Bucket }) => [
      () =>
        thief.send(
          new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }),
        ),
    ],
  ],
  [
    'to change or delete the policy',
    (thief, { Bucket }) => [
      () =>
        thief.send(new PutBucketPolicyCommand({ Bucket, Policy: '{"Version":"2012-10-17","Statement":[]}' })),
      () => thief.send(new DeleteBucketPolicyCommand({ Bucket })),
    ],
  ],
  [
    'to let a lifecycle delete',
    (thief, { Bucket }) => [
      () =>
        thief.send(
          new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [SWEEP] } }),
        ),
      () => thief.send(new DeleteBucketLifecycleCommand({ Bucket })),
    ],
  ],
  ['to delete the bucket', (thief, { Bucket }) => [() => thief.send(new DeleteBucketCommand({ Bucket }))]],
  [
    "to list other machines' runs, or all keys",
    (thief, { Bucket }) => [
      () => thief.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'manifests/other-backup/' })),
      () => thief.send(new ListObjectVersionsCommand({ Bucket })),
      () => thief.send(new ListObjectsV2Command({ Bucket })),
    ],
  ],
  [
    "to store under another machine's name",
    (thief, { Bucket }) =>
      ['manifests', 'snapshots'].map(
        (folder) => () =>
          thief.send(new PutObjectCommand({ Bucket, Key: `${folder}/other-backup/x`, Body: 'x', ...LOCKED })),
      ),
  ],
];

const SWEEP = {
  ID: 'sweep',
  Status: 'Enabled',
  Filter: { Prefix: '' },
  Expiration: { Days: 1 },
  NoncurrentVersionExpiration: { NoncurrentDays: 1 },
} as const;

function deletionOf({ Bucket, Key, VersionId }: Version): DeleteObjectsCommand {
  const Delete = { Objects: [{ Key, VersionId }] };
  return new DeleteObjectsCommand({ Bucket, Delete, ...BYPASS, ChecksumAlgorithm: 'SHA256' });
}

function lockOf(id: Version, days: number): PutObjectRetentionCommand {
  const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: inDays(days) } as const;
  return new PutObjectRetentionCommand({ ...id, Retention });
}

/** The status that the server answers with, of a deletion of many that of the first. */
async function answerTo(attempt: Attempt): Promise<number | undefined> {
  try {
    const answer = (await attempt()) as { Errors?: { Code?: string }[] } | undefined;
    return answer?.Errors?.[0]?.Code === 'AccessDenied' ? 403 : 200;
  } catch (error) {
    return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  }
}

/** A machine whose conf and credentials file are those of the guarded bucket, and who restores from it elsewhere. */
class Site {
  readonly guarded: GuardedBucket;
  readonly #folder = ConfFolder.make();
  readonly #endpoint: string;

  private constructor(ceph: CephServer, guarded: GuardedBucket) {
    this.guarded = guarded;
    this.#endpoint = ceph.endpoint;
    const { accessKeyId, secretAccessKey } = guarded.keys.web1;
    writeFileSync(
      this.#folder.at('credentials'),
      `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
      { mode: 0o600 },
    );
    this.keepFor(14);
    mkdirSync(this.tree);
    for (const name of ['one', 'two']) writeFileSync(`${this.tree}/${name}`, randomBytes(2000));
    this.#folder.picker('tree', `find '${this.tree}' -print0`);
    this.#folder.snapshotter('dump', 'echo dumped >&$1');
  }

  static async make(ceph: CephServer): Promise<Site> {
    return new Site(ceph, await guardedBucket(ceph, BACKUP));
  }

  get tree(): string {
    return this.#folder.at('tree');
  }

  keepFor(days: number): void {
    const { bucket } = this.guarded;
    const s3 = `[s3]\nbucket = ${bucket}\nendpoint_url = ${this.#endpoint}\nregion = us-east-1\n`;
    const aws = `[aws]\ncredentials_file = ${this.#folder.at('credentials')}\n`;
    this.#folder.conf(s3 + aws, `[content]\ndays_retained = ${days}\nbundle_below = 0\n`);
  }

  /** Behind the program's back, as another machine that shares the content could. */
  async lockContentFor(days: number): Promise<void> {
    const { bucket: Bucket, machine } = this.guarded;
    for (const version of await this.versions('content/'))
      await machine.send(lockOf({ Bucket, ...version }, days));
  }

  /** With the machine's credentials. */
  asMachine(...args: string[]): Promise<Ended> {
    return runProgram([...args, '--conf-dir', this.#folder.confDir]);
  }

  /** From anywhere, with these keys in the environment. */
  from(keys: S3Keys, ...args: string[]): Promise<Ended> {
    const place = [
      '--bucket',
      this.guarded.bucket,
      '--endpoint-url',
      this.#endpoint,
      '--region',
      'us-east-1',
    ];
    const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
    return runProgram([...args, ...place], { env });
  }

  /** Restores the newest run with the restorer's rights: what came back of the tree. */
  async restored(): Promise<Record<string, string>> {
    const target = this.#folder.at(`target-${randomBytes(4).toString('hex')}`);
    const ended = await this.from(this.guarded.keys.restorer, 'restore', BACKUP, '--target', target);
    expect(ended.stderr).not.toContain('error');
    expect(ended.code).toBe(0);
    return treeOf(`${target}${this.tree}`);
  }

  async newestRun(): Promise<string> {
    const { stdout } = await this.from(this.guarded.keys.restorer, 'list', '--json');
    const runs = JSON.parse(stdout) as { run: string }[];
    return (
      runs
        .map(({ run }) => run)
        .toSorted()
        .at(-1) ?? 'none'
    );
  }

  /** All that is stored, as the owner sees it. */
  async versions(Prefix = ''): Promise<{ Key: string; VersionId: string }[]> {
    const { owner, bucket: Bucket } = this.guarded;
    const { Versions = [] } = await owner.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
    return Versions.map(({ Key = '', VersionId = '' }: ObjectVersion) => ({ Key, VersionId }));
  }
}

describeWithCeph('with the rights that docs/permissions.md lists', {}, (ceph) => {
  describe('each command works', () => {
    it('archive, with renewals and one that is refused because the lock is longer; check-config; list; restore', async () => {
      const site = await Site.make(ceph());
      const { keys } = site.guarded;
      expect(await site.asMachine('check-config', '--connect')).toMatchObject({ code: 0 });
      expect(await site.asMachine('archive')).toMatchObject({ code: 0 });
      // Reading takes the other role.
      expect(await site.asMachine('restore', '--target', `${site.tree}-x`)).toMatchObject({ code: 12 });

      site.keepFor(60);
      const renewing = await site.asMachine('archive', '--json');
      expect(renewing).toMatchObject({ code: 0, stderr: '' });
      expect(summaryIn(renewing.stdout)).toMatchObject({ renewed: 2, stored: { objects: 1 } });

      await site.lockContentFor(500);
      site.keepFor(150);
      const refused = await site.asMachine('archive', '--json');
      expect(refused).toMatchObject({ code: 0, stderr: '' });
      expect(summaryIn(refused.stdout)).toMatchObject({
        renewed: 0,
        stored: { objects: 1 },
        requests: { 'get-retention': 2, 'put-retention': 2 },
      });

      const listed = await site.from(keys.restorer, 'list', '--json');
      expect(listed).toMatchObject({ code: 0 });
      expect(JSON.parse(listed.stdout)).toHaveLength(3);
      expect(await site.restored()).toEqual(treeOf(site.tree));
    });

    it("ls, cat and diff with the restorer's, verify with the auditor's, renew with the renewer's", async () => {
      const site = await Site.make(ceph());
      const { restorer, auditor, renewer } = site.guarded.keys;
      expect(await site.asMachine('archive')).toMatchObject({ code: 0 });
      const first = await site.newestRun();
      writeFileSync(`${site.tree}/three`, 'worth keeping');
      expect(await site.asMachine('archive')).toMatchObject({ code: 0 });
      const second = await site.newestRun();

      expect((await site.from(restorer, 'ls', second, `${site.tree}/`)).stdout).toContain('three');
      expect((await site.from(restorer, 'cat', second, `${site.tree}/three`)).stdout).toBe('worth keeping');
      expect((await site.from(restorer, 'diff', first, second)).stdout).toContain('three');
      expect(await site.from(restorer, 'verify', '--read-data')).toMatchObject({ code: 0 });
      expect(await site.from(auditor, 'verify')).toMatchObject({ code: 0 });
      const unread = await site.from(auditor, 'verify', '--read-data');
      expect(unread).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('access denied reading content/'),
      });

      expect(await site.from(renewer, 'renew', '--retain-days', '60')).toMatchObject({ code: 0 });
      expect(await site.from(auditor, 'verify')).toMatchObject({ code: 0 });
      const { restorer: client, bucket: Bucket } = site.guarded;
      const stored = await site.versions();
      expect(stored.length).toBeGreaterThan(5);
      for (const version of stored) {
        const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket, ...version }));
        expect(Retention?.RetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 59 * DAY_MS);
      }
      expect(await site.restored()).toEqual(treeOf(site.tree));
    });
  });

  describe('and not without one of them:', () => {
    it('archive needs each of its rights, and says which one it lacks', async () => {
      const site = await Site.make(ceph());
      const { policy, setPolicy } = site.guarded;
      expect(await site.asMachine('archive')).toMatchObject({ code: 0 });
      writeFileSync(`${site.tree}/three`, randomBytes(2000));
      for (const right of ['s3:PutObject', 's3:ListBucketVersions', 's3:GetBucketObjectLockConfiguration']) {
        await setPolicy(withoutRight(policy, right));
        // The catalog remembers that the bucket locks: that of another name does not.
        const args = right === 's3:GetBucketObjectLockConfiguration' ? ['--name', 'another'] : [];
        const { code, stderr } = await site.asMachine('archive', ...args);
        expect(code).toBe(12);
        expect(stderr).toMatch(new RegExp(`hint: The credentials need .*${right}`));
      }
      await setPolicy(policy);
      expect(await site.restored()).not.toHaveProperty('three');
      expect(await site.asMachine('archive')).toMatchObject({ code: 0 });
      expect(await site.restored()).toEqual(treeOf(site.tree));
    });

    // Ceph asks for s3:PutObjectRetention to renew only, AWS for each PUT with a lock too.
    it.each([
      ['s3:PutObjectRetention', 0],
      ['s3:GetObjectRetention', 500],
    ])('archive without %s stores anew what it cannot renew', async (right, lockedFor) => {
      const site = await Site.make(ceph());
      const { policy, setPolicy } = site.guarded;
      await site.asMachine('archive');
      if (lockedFor > 0) await site.lockContentFor(lockedFor);
      await setPolicy(withoutRight(policy, right));
      site.keepFor(60);
      const { code, stdout } = await site.asMachine('archive', '--json');
      expect(code).toBe(0);
      expect(summaryIn(stdout)).toMatchObject({ renewed: 0, stored: { objects: 3 } });
      await setPolicy(policy);
      expect(await site.restored()).toEqual(treeOf(site.tree));
    });

    it('list and restore need s3:GetObjectVersion and s3:ListBucketVersions, and no more', async () => {
      const site = await Site.make(ceph());
      const { policy, setPolicy, keys } = site.guarded;
      await site.asMachine('archive');
      for (const right of ['s3:GetObjectVersion', 's3:ListBucketVersions']) {
        await setPolicy(withoutRight(policy, right));
        const { code, stderr } = await site.from(
          keys.restorer,
          'restore',
          BACKUP,
          '--target',
          `${site.tree}-x`,
        );
        expect(code).toBe(12);
        expect(stderr).toContain(right);
      }
      await setPolicy(withoutRight(policy, 's3:GetObjectRetention'));
      expect(await site.restored()).toEqual(treeOf(site.tree));
      expect(await site.from(keys.restorer, 'list')).toMatchObject({ code: 0 });
    });
  });

  /** In this process, which is quicker: a machine that has backed up, and all that it has stored. */
  async function backedUp() {
    const guarded = await guardedBucket(ceph(), 'test-backup');
    const { bucket, machine: thief, restorer, renewer } = guarded;
    const machine = new BackupMachine();
    machine.store = await openS3Store({ bucket, client: thief });
    for (const name of ['one', 'two']) machine.write(name, randomBytes(2000));
    machine.snapshotter('dump', 'echo dumped >&$1');
    expect((await machine.archive()).summary.outcome).toBe('complete');
    const reading = await openS3Store({ bucket, client: restorer });
    const versions = async (): Promise<Version[]> =>
      (await reading.list({ prefix: '' })).versions.map(({ key, version }) => ({
        Bucket: bucket,
        Key: key,
        VersionId: version,
      }));
    return { machine, thief, renewer, reading, versions };
  }

  describe("a thief with the machine's rights is refused by the server", () => {
    it.each(ATTEMPTS)('%s, and the backup is restored', async (_, attempts) => {
      const { machine, thief, reading, versions } = await backedUp();
      const stored = await versions();
      // Two contents, a snapshot and a manifest.
      expect(stored).toHaveLength(4);
      for (const attempt of stored.flatMap((version) => attempts(thief, version)))
        expect([400, 403]).toContain(await answerTo(attempt));
      expect(await versions()).toEqual(stored);
      const { summary, tree } = await restoreTree(reading, machine.tree);
      expect(summary.failed).toBe(0);
      expect(tree).toEqual(treeOf(machine.tree));
    });
  });

  it("a thief with the machine's rights puts wrong bytes on top of everything, and the backup is restored", async () => {
    const { machine, thief, reading, versions } = await backedUp();
    for (const { Bucket, Key } of await versions()) {
      await thief.send(new PutObjectCommand({ Bucket, Key, Body: 'wrong' }));
      await thief.send(new PutObjectCommand({ Bucket, Key, Body: 'wrong', ...LOCKED }));
    }
    expect((await restoreTree(reading, machine.tree)).tree).toEqual(treeOf(machine.tree));
    const { summary, warnings } = await machine.archive();
    expect(warnings.join()).toContain("someone else has this machine's rights");
    // The snapshot.
    expect(summary).toMatchObject({ outcome: 'complete', stored: { objects: 1 } });
    expect((await restoreTree(reading, machine.tree, summary.run)).tree).toEqual(treeOf(machine.tree));
  });

  it('a thief of the rights to renew moves locks out, reads manifests, and can do nothing else', async () => {
    const { machine, renewer: thief, reading, versions } = await backedUp();
    const stored = await versions();
    for (const id of stored) {
      await thief.send(lockOf(id, 100));
      const attempts = [
        () => thief.send(lockOf(id, 1)),
        () => thief.send(new PutObjectRetentionCommand({ ...lockOf(id, 1).input, ...BYPASS })),
        () => thief.send(new DeleteObjectCommand(id)),
        () => thief.send(new DeleteObjectCommand({ ...id, ...BYPASS })),
        () => thief.send(new PutObjectCommand({ Bucket: id.Bucket, Key: id.Key, Body: 'x', ...LOCKED })),
        ...(id.Key.startsWith('manifests/') ? [] : [() => thief.send(new GetObjectCommand(id))]),
      ];
      for (const attempt of attempts) expect(await answerTo(attempt)).toBe(403);
    }
    expect(await versions()).toEqual(stored);
    expect((await restoreTree(reading, machine.tree)).tree).toEqual(treeOf(machine.tree));
  });
});
