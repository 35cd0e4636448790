import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectRetentionCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { openS3Store } from '#src/store/s3.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { runProgram, summaryIn } from '../kit/built-program.js';
import { OlderBucket } from '../kit/older-bucket.js';
import { olderFacts } from '../kit/older-comparison.js';
import { makeOlderTree } from '../kit/older-tree.js';
import { temporaryFolder } from '../kit/temporary.js';
import { describeWithCeph } from './ceph.js';

describeWithCeph('a bucket of the older format', {}, (ceph) => {
  it('is listed, looked at, restored and verified by the built program, and its content used again', {
    timeout: 240_000,
  }, async () => {
    const folder = temporaryFolder();
    const machine = new BackupMachine();
    const { tree } = machine;
    makeOlderTree(tree);
    const Bucket = await ceph().createBucket();
    const store = await openS3Store({ bucket: Bucket, client: ceph().clientConfig() });
    const bucket = new OlderBucket(store, 'web1');
    const snapshot = await bucket.putSnapshot('db', '2026-11-20T12:10Z', 'dump', {
      'backup-output': 'größe: 2 tables',
      'restore-through': 'psql',
    });
    const { entries, version } = await bucket.backUp(tree, [snapshot]);
    await bucket.backUp(tree, [snapshot]);

    const s3 = ['--bucket', Bucket, '--endpoint-url', ceph().endpoint, '--region', 'us-east-1'];
    const env = {
      AWS_ACCESS_KEY_ID: ceph().keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ceph().keys.secretAccessKey,
      HOME: folder,
    };
    const program = async (...args: string[]) => {
      const ended = await runProgram([...args, ...s3], { env });
      expect(ended.code, ended.stderr).toBe(0);
      return ended.stdout;
    };

    const runs = JSON.parse(await program('list', '--json')) as Record<string, unknown>[];
    expect(runs).toMatchObject([
      { name: 'web1', format: 1, outcome: null, version, problem: null },
      { name: 'web1', format: 1 },
    ]);
    const first = String(runs[0]?.['run']);
    expect(await program('list')).toContain('older format');

    const listing = await program('ls', first, tree);
    expect(listing).toMatch(new RegExp(`^-rwsr-s--x .* \\\\? +\\\\? .* ${join(tree, 'tool')}$`, 'm'));
    expect(await program('ls', first, 'db')).toMatch(/^s--------- .* 4 .* db$/m);
    expect(await program('cat', first, join(tree, 'text'))).toBe(readFileSync(join(tree, 'text'), 'utf8'));
    expect(await program('diff', first, 'web1')).toBe('');

    const target = join(folder, 'target');
    const into = join(folder, 'snapshots');
    mkdirSync(into);
    const restored = await program('restore', 'web1', '--target', target, '--snapshots', into, '--json');
    expect(summaryIn(restored)).toMatchObject({ failed: 0, notSet: {} });
    expect(olderFacts(join(target, tree))).toEqual(olderFacts(tree));
    expect(readFileSync(join(into, 'db'), 'utf8')).toBe('dump');
    expect(readFileSync(join(into, 'db.description.txt'), 'utf8')).toBe('größe: 2 tables\n');
    await program('verify', '--read-data');

    // Content without a lock is locked before it is named by a manifest that promises one.
    machine.store = store;
    const { summary } = await machine.archive();
    const stored = await machine.entries(summary);
    const noise = entries.find(({ path }) => path === join(tree, 'noise'));
    expect(stored.get('noise')).toMatchObject({ dat: { key: noise?.['dat'], ver: noise?.['ver'] } });
    const client = new S3Client(ceph().clientConfig());
    const lock = await client.send(
      new GetObjectRetentionCommand({
        Bucket,
        Key: String(noise?.['dat']),
        VersionId: String(noise?.['ver']),
      }),
    );
    expect(lock.Retention?.RetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 13 * 86_400_000);
    client.destroy();
    await store.close();
  });
});
