import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { openS3Store } from '#src/store/s3.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { bodyOf } from '../kit/bodies.js';
import { makeOlderTree } from '../kit/older-tree.js';
import { temporaryFolder } from '../kit/temporary.js';
import { treeFacts } from '../kit/tree-facts.js';
import { directory, file, KEY, manifestOf, symlink } from '../unit/manifest/build-manifest.js';
import { describeWithCeph } from './ceph.js';
import { folderOfAws } from './docs-aws-cli.js';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, '../../examples/plain-restore.sh');
const BLOCK = 64 * 1024;
const NAMES = [
  'line\nbreak',
  '\n',
  'ends in one\n',
  ' ',
  '-rf',
  '$(date)`x`',
  '\'"\\',
  '*',
  '%s|:',
  'x'.repeat(255),
];

/** What the other tree does not have: times, attributes, blocks, awkward names, bundles, several snapshots. */
function makeMore(tree: string): void {
  makeOlderTree(tree);
  const noise = randomBytes(BLOCK);
  writeFileSync(
    join(tree, 'blocks'),
    Buffer.concat([noise, Buffer.alloc(3 * BLOCK), noise, noise.subarray(7)]),
  );
  const names = join(tree, 'names');
  mkdirSync(names);
  for (const [index, name] of NAMES.entries()) {
    writeFileSync(join(names, name), `content ${index % 4}`);
    symlinkSync(name, join(names, `to ${index}`));
    linkSync(join(names, name), join(names, `same as ${index}`));
  }
  symlinkSync(Buffer.from([0xff, 0x0a]), join(names, 'to bytes'));
  execFileSync('setfattr', ['-n', 'user.größe', '-v', 'a\nb', join(tree, 'noise')]);
  execFileSync('setfattr', ['-n', 'user.empty', join(tree, 'drop')]);
  execFileSync('touch', ['-d', '2001-02-03 04:05:06.789012345', join(tree, 'noise'), join(tree, 'a/deep')]);
  execFileSync('touch', ['-h', '-d', '1999-01-01 00:00:00.000000001', join(tree, 'link')]);
  execFileSync('chmod', ['0555', join(tree, 'a')]);
}

describeWithCeph('examples/plain-restore.sh (needs aws or PyPI, jq, setfacl, setfattr)', {}, (ceph) => {
  it.each([
    [0, 'gzip' as const],
    [4096, 'gzip' as const],
    [4096, 'none' as const],
  ])(
    'brings a whole run back, with files below %i bytes in bundles, compression = %s',
    {
      timeout: 600_000,
    },
    async (bundleBelow, compression) => {
      const prefix = 'hosts/web 1/';
      const Bucket = await ceph().createBucket();
      const store = await openS3Store({ bucket: Bucket, prefix, client: ceph().clientConfig() });
      const machine = new BackupMachine();
      machine.store = store;
      const content = { ...machine.settings.content, bundleBelow, compression };
      const programs = { timeout: undefined, allowEmpty: ['nothing'] };
      machine.settings = { ...machine.settings, content, programs };
      makeMore(machine.tree);
      machine.write('a/small', 'at the end of a long file too');
      const whole = randomBytes(content.blockSize);
      machine.write('z long', Buffer.concat([whole, Buffer.from('at the end of a long file too')]));
      machine.snapshotter('numbers', 'seq 10000 >&$1; echo ten thousand numbers');
      machine.snapshotter('nothing', ':');
      const { summary } = await machine.archive();
      expect(summary.outcome).toBe('complete');
      // That the run has what the script tells apart.
      const entries = [...(await machine.entries(summary)).values()];
      const blocks = entries.flatMap((entry) => (entry.typ === 'f' && entry.dat !== null ? entry.dat : []));
      expect(blocks.some(({ off }) => off !== undefined)).toBe(bundleBelow > 0);
      expect(blocks).toContainEqual(expect.objectContaining({ n: 3 }));
      // A block in a bundle, where another file is that block.
      expect(blocks.some((ref) => ref.off !== undefined && 'size' in ref)).toBe(bundleBelow > 0);

      const env = await environment(Bucket, prefix, machine.settings.backupName);
      const target = join(machine.folder, 'restored\nhere');
      const { stdout, stderr } = await run(SCRIPT, [target], { env });
      expect(stdout).toBe('');
      expect(stderr).toContain(summary.run);
      expect(readdirSync(target).sort()).toEqual(['files', 'snapshots']);
      expect(treeFacts(join(target, 'files', machine.tree))).toEqual(treeFacts(machine.tree));
      expect(readFileSync(join(target, 'snapshots/numbers'), 'utf8').split('\n')).toHaveLength(10_001);
      expect(readFileSync(join(target, 'snapshots/nothing'))).toHaveLength(0);

      await expect(run(SCRIPT, [target], { env })).rejects.toMatchObject({ code: 1 });
      await store.close();
    },
  );

  it('tells of a run that is not there, and of content that is not, and brings the rest', async () => {
    const Bucket = await ceph().createBucket();
    const store = await openS3Store({ bucket: Bucket, client: ceph().clientConfig() });
    const machine = new BackupMachine();
    machine.store = store;
    machine.write('gone', randomBytes(100));
    machine.write('there', 'x');
    const { summary } = await machine.archive();
    const gone = (await machine.entries(summary)).get('gone');
    if (gone?.typ !== 'f' || gone.dat === null || Array.isArray(gone.dat)) throw new Error('no object');
    const client = new S3Client(ceph().clientConfig());
    const version = { Bucket, Key: gone.dat.key, VersionId: gone.dat.ver, BypassGovernanceRetention: true };
    await client.send(new DeleteObjectCommand(version));
    client.destroy();

    const env = await environment(Bucket, '', machine.settings.backupName);
    const target = join(machine.folder, 'target');
    const unknown = run(SCRIPT, [target, '20200101T000000Z-00000000'], { env });
    await expect(unknown).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no such run') });
    const again = `${target}2`;
    const told = expect.stringContaining(`${join(machine.tree, 'gone')}: its content cannot be had`);
    await expect(run(SCRIPT, [again, summary.run], { env })).rejects.toMatchObject({ code: 1, stderr: told });
    expect(readdirSync(join(again, 'files', machine.tree))).toEqual(['there']);
    await store.close();
  });

  it('writes nothing outside its folder, whatever a manifest says', async () => {
    const Bucket = await ceph().createBucket();
    const store = await openS3Store({ bucket: Bucket, client: ceph().clientConfig() });
    const folder = temporaryFolder();
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    const lines = [
      directory('/'),
      symlink('/../outside/planted', 'x'),
      file('/../outside/file', ''),
      // Through a symlink of the same run; and the same with a folder below it, which makes it one.
      symlink('/a', outside),
      symlink('/a/link', 'x'),
      symlink('/b', outside),
      directory('/b/made'),
      // Text that a shell could take for more.
      file('/z', '', { o: '$(touch planted)', g: '`touch planted`' }),
    ].sort((a, b) => Buffer.compare(Buffer.from(a.path ?? ''), Buffer.from(b.path ?? '')));
    await store.put({ key: KEY, body: bodyOf(manifestOf(lines)), retention: undefined });
    const env = await environment(Bucket, '', 'host-backup');
    const target = join(folder, 'target');
    const before = lstatSync(outside, { bigint: true });
    await expect(run(SCRIPT, [target], { env, cwd: folder })).rejects.toMatchObject({ code: 1 });
    expect(readdirSync(folder).sort()).toEqual(['outside', 'target']);
    expect(readdirSync(outside)).toEqual([]);
    const after = lstatSync(outside, { bigint: true });
    expect([after.mtimeNs, after.ctimeNs]).toEqual([before.mtimeNs, before.ctimeNs]);
    expect(readdirSync(join(target, 'files')).sort()).toEqual(['a', 'b', 'z']);
    expect(lstatSync(join(target, 'files/b')).isDirectory()).toBe(true);
    await store.close();
  });

  async function environment(BUCKET: string, PREFIX: string, NAME: string): Promise<Record<string, string>> {
    const aws = await folderOfAws();
    return {
      PATH: [...(aws === undefined ? [] : [aws]), process.env['PATH'] ?? ''].join(delimiter),
      HOME: temporaryFolder(),
      AWS_ENDPOINT_URL_S3: ceph().endpoint,
      AWS_ACCESS_KEY_ID: ceph().keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ceph().keys.secretAccessKey,
      AWS_DEFAULT_REGION: 'us-east-1',
      BUCKET,
      PREFIX,
      NAME,
    };
  }
});
