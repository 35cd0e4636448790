import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it, onTestFinished } from 'vitest';
import { ConfFolder } from '../kit/conf-folder.js';
import { shellBlocks, TypingShell } from '../kit/typed-lines.js';
import { describeWithCeph } from './ceph.js';

const NAME = 'web1-backup';

/** Passes requests on, and changes a byte of what certain versions hold: a disk of the provider's that has rotted. */
async function rottingProxy(endpoint: string, rotten: ReadonlySet<string>): Promise<string> {
  const target = new URL(endpoint);
  const server = createServer((request, response) => {
    const { method, headers, url = '' } = request;
    const onward = forward({ host: target.hostname, port: target.port, method, path: url, headers });
    request.pipe(onward);
    onward.on('response', (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      let isFirst = rotten.has(new URL(url, endpoint).searchParams.get('versionId') ?? '');
      answer.on('data', (chunk: Buffer) => {
        if (isFirst && method === 'GET') chunk.writeUInt8(chunk.readUInt8(0) ^ 1, 0);
        isFirst = false;
        response.write(chunk);
      });
      answer.on('end', () => response.end());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describeWithCeph('docs/damage.md, "In a bucket"', {}, (ceph) => {
  it('says to type what makes the next run whole where objects and bundles have rotted', {
    timeout: 120_000,
  }, async () => {
    const Bucket = await ceph().createBucket();
    const rotten = new Set<string>();
    const proxy = await rottingProxy(ceph().endpoint, rotten);
    const backup = ConfFolder.make();
    backup.conf(
      `[s3]\nbucket = ${Bucket}\nendpoint_url = ${proxy}\nregion = us-east-1\n`,
      '[content]\nbundle_below = 1 KiB\n',
    );
    const conf = join(backup.confDir, 'conf');
    const before = readFileSync(conf, 'utf8');
    const data = backup.at('data');
    mkdirSync(data);
    for (let index = 0; index < 3; index++) {
      writeFileSync(join(data, `object${index}`), randomBytes(3000));
      writeFileSync(join(data, `member${index}`), `member ${index}`);
    }
    backup.picker('data', `find '${data}' -print0`);
    const { accessKeyId, secretAccessKey } = ceph().keys;
    const shell = new TypingShell(backup.folder, {
      CONF: backup.confDir,
      STATE: backup.state,
      NAME,
      STORE: `--bucket ${Bucket} --endpoint-url ${proxy} --region us-east-1`,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    });
    const [withoutMemory = '', verify = '', ...others] = shellBlocks('damage.md', 'In a bucket');
    expect(others).toEqual([]);
    const archive = 's3-sysbackup archive --conf-dir "$CONF" --name "$NAME"';
    expect(await shell.type(archive)).toMatchObject({ code: 0 });
    const s3 = new S3Client(ceph().clientConfig());
    for (const Prefix of ['content/', 'bundles/']) {
      const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
      rotten.add(Versions[0]?.VersionId ?? '');
    }
    expect(rotten.size).toBe(2);
    // A run that believes its memory is no better, however often.
    expect(await shell.type(archive)).toMatchObject({ code: 0 });
    expect((await shell.type(verify)).code).toBe(1);
    expect(await shell.type(withoutMemory)).toMatchObject({ code: 0 });
    const healed = await shell.type(verify);
    expect(healed.output).toContain('nothing is wrong');
    expect(healed.code).toBe(0);
    expect(readFileSync(conf, 'utf8')).toBe(before);
    // The nights after it are cheap, and as good.
    const next = await shell.type(archive);
    expect(next.output).toContain('stored      0 new objects');
    expect((await shell.type(verify)).code).toBe(0);
  });
});
