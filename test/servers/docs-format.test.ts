import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import type { RunSummary } from '#src/archive/options.js';
import { openS3Store } from '#src/store/s3.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { randomBody } from '../kit/bodies.js';
import { describeWithCeph } from './ceph.js';
import { folderOfAws } from './docs-aws-cli.js';

const run = promisify(execFile);
const DOCUMENT = join(import.meta.dirname, '../../docs/format.md');
const SECTION = '## Restoring one file with aws, jq and gunzip';
const BLOCK = 64 * 1024;

/** The lines that docs/format.md tells to type, block by block. */
function blocksOfDocument(): string[] {
  const text = readFileSync(DOCUMENT, 'utf8');
  const section = text.slice(text.indexOf(`\n${SECTION}\n`)).split('\n## ')[1] ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines = '']) => lines);
}

/** The one block in which the text is. */
function blockWith(blocks: readonly string[], text: string): string {
  const found = blocks.filter((block) => block.includes(text));
  expect(found, text).toHaveLength(1);
  return found[0] ?? '';
}

describeWithCeph('the shell lines of docs/format.md (need aws or PyPI, jq, setfacl)', {}, (ceph) => {
  it('bring files and snapshots back, past what an attacker has put on top', {
    timeout: 300_000,
  }, async () => {
    const prefix = 'hosts/web 1/';
    const Bucket = await ceph().createBucket();
    const store = await openS3Store({ bucket: Bucket, prefix, client: ceph().clientConfig() });
    const machine = new BackupMachine();
    machine.store = store;
    machine.settings.content.bundleBelow = 100;
    const noise = randomBody(3 * BLOCK + 7).bytes;
    const files = [
      machine.write('text', 'a line, and again\n'.repeat(1000)),
      machine.write('noise \'in\' "quotes"\nand lines', noise.subarray(0, 5000)),
      machine.write('long', Buffer.concat([noise, Buffer.alloc(4 * BLOCK), Buffer.from('end')])),
      machine.write('empty', ''),
      machine.write('listed', 'with an ACL'),
    ].map((path) => Buffer.from(path));
    const odd = Buffer.concat([Buffer.from(`${machine.tree}/caf`), Buffer.from([0xe9])]);
    writeFileSync(odd, 'no UTF-8 in its name');
    files.push(odd);
    execFileSync('chmod', ['4750', join(machine.tree, 'text')]);
    execFileSync('setfacl', ['-m', 'u:daemon:r', join(machine.tree, 'listed')]);
    machine.snapshotter('dump', 'seq 10000 >&$1; echo ten thousand numbers');
    const { summary } = await machine.archive({ tool: 's3-sysbackup test' });
    expect(summary.outcome).toBe('complete');
    await attack(Bucket, prefix, machine, summary);

    const blocks = blocksOfDocument();
    const folder = join(machine.folder, 'restore');
    mkdirSync(folder);
    const aws = await folderOfAws();
    const PATH = [...(aws === undefined ? [] : [aws]), process.env['PATH'] ?? ''].join(delimiter);
    const env = {
      PATH,
      HOME: machine.folder,
      AWS_ENDPOINT_URL_S3: ceph().endpoint,
      AWS_ACCESS_KEY_ID: ceph().keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ceph().keys.secretAccessKey,
      AWS_DEFAULT_REGION: 'us-east-1',
      BUCKET: Bucket,
      PREFIX: prefix,
      NAME: machine.settings.backupName,
    };
    const type = async (lines: string[], more: Record<string, string> = {}): Promise<void> => {
      await run('sh', ['-euc', lines.join('\n')], { cwd: folder, env: { ...env, ...more } });
    };
    const fetchBlock = blockWith(blocks, '.dat |');
    const checkBlock = blockWith(blocks, '"$(jq -r .sha file.json)  restored"');
    const metadataBlock = blockWith(blocks, 'chmod');
    await type([blockWith(blocks, 'list-object-versions'), blockWith(blocks, 'sed')]);
    for (const file of files) {
      // Node knows no environment of bytes; the shell's own printf makes them.
      const FILE = file.toString('latin1').replaceAll(/[^ -~]|[%\\']/g, octal);
      const set = `FILE=$(printf '${FILE}')`;
      await type([set, blockWith(blocks, '.typ == "f"'), fetchBlock, checkBlock, metadataBlock]);
      const restored = join(folder, 'restored');
      expect(readFileSync(restored).equals(readFileSync(file)), file.toString()).toBe(true);
      const [was, is] = [statSync(file, { bigint: true }), statSync(restored, { bigint: true })];
      expect([is.mode, is.uid, is.gid, is.mtimeNs]).toEqual([was.mode, was.uid, was.gid, was.mtimeNs]);
      const aclOf = (path: Buffer | string) =>
        execFileSync('getfacl', ['-cp', '-'], {
          input: Buffer.concat([Buffer.from(path), Buffer.from('\n')]),
        });
      if (file.toString().endsWith('listed')) expect(aclOf(restored)).toEqual(aclOf(file));
    }
    await type([blockWith(blocks, '.typ == "s"'), fetchBlock, checkBlock], { SNAPSHOT: 'dump' });
    expect(readFileSync(join(folder, 'restored'), 'utf8').split('\n')).toHaveLength(10_001);

    // That the files were of the kinds that the lines tell apart.
    const entries = await machine.entries(summary);
    expect(entries.get('text')).toMatchObject({ dat: { enc: 'gzip' } });
    expect(entries.get('listed')).toMatchObject({ dat: { off: expect.any(Number), enc: 'gzip' } });
    const block = expect.objectContaining({ n: 3 });
    expect(entries.get('long')).toMatchObject({ dat: expect.arrayContaining([block]) });
    expect(blocks).toHaveLength(7);
    await store.close();
  });

  /** What a thief with the right to back up can do: newer versions, delete markers, a broken run that comes last. */
  async function attack(
    Bucket: string,
    prefix: string,
    machine: BackupMachine,
    summary: RunSummary,
  ): Promise<void> {
    const client = new S3Client(ceph().clientConfig());
    const manifest = summary.manifest?.key ?? '';
    const text = (await machine.entries(summary)).get('text');
    const content = text?.typ === 'f' && text.dat !== null && 'key' in text.dat ? text.dat.key : '';
    for (const key of [manifest, content])
      await client.send(new PutObjectCommand({ Bucket, Key: prefix + key, Body: Buffer.from('wrong') }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: prefix + manifest }));
    machine.picker('tree', 'true');
    expect((await machine.archive()).summary.outcome).toBe('broken');
    client.destroy();
  }
});

function octal(char: string): string {
  return `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`;
}
