import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { type Ended, runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { treeOf } from '../kit/trees.js';
import { describeWithCeph } from './ceph.js';

describeWithCeph('the bucket that a conf names, on Ceph', {}, (ceph) => {
  class Site {
    readonly folder = ConfFolder.make();
    readonly tree = this.folder.at('tree');

    constructor() {
      mkdirSync(this.tree);
      for (const name of ['one', 'two']) writeFileSync(`${this.tree}/${name}`, randomBytes(2000));
      this.folder.picker('tree', `find '${this.tree}' -print0`);
    }

    conf(bucket: string, more = ''): void {
      this.folder.conf(
        `[s3]\nbucket = ${bucket}\nendpoint_url = ${ceph().endpoint}\nregion = us-east-1\n${more}`,
      );
    }

    run(...args: string[]): Promise<Ended> {
      const { accessKeyId, secretAccessKey } = ceph().keys;
      const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
      return runProgram([...args, '--conf-dir', this.folder.confDir], { env });
    }

    async restored(): Promise<Record<string, string>> {
      const target = this.folder.at(`target-${randomBytes(4).toString('hex')}`);
      expect(await this.run('restore', 'web1', '--target', target)).toMatchObject({ code: 0 });
      return treeOf(target + this.tree);
    }
  }

  async function keysIn(Bucket: string): Promise<string[]> {
    const client = new S3Client(ceph().clientConfig());
    const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    client.destroy();
    return Versions.map(({ Key = '' }) => Key);
  }

  it('has to have Object Lock: nothing is stored in one without', async () => {
    const bucket = await ceph().createBucket({ objectLock: false });
    const site = new Site();
    site.conf(bucket);
    for (const args of [
      ['archive', '--name', 'web1'],
      ['check-config', '--connect'],
    ]) {
      const { code, stderr } = await site.run(...args);
      expect(code).toBe(1);
      expect(stderr).toContain('does not lock');
    }
    expect(await keysIn(bucket)).toEqual([]);
  });

  it('may be without Object Lock where require_object_lock = no, until that is set back', async () => {
    const bucket = await ceph().createBucket({ objectLock: false });
    const site = new Site();
    site.conf(bucket, 'require_object_lock = no\n');
    for (const round of [1, 2]) {
      const { code, stdout } = await site.run('archive', '--name', 'web1', '--json');
      expect(code).toBe(0);
      expect(summaryIn(stdout)).not.toHaveProperty('lockedUntil');
      expect(await site.restored()).toEqual(treeOf(site.tree));
      writeFileSync(`${site.tree}/new`, `in round ${round}`);
    }
    site.conf(bucket);
    expect((await site.run('archive', '--name', 'web1')).code).toBe(1);
  });

  it('can be shared by prefixes, each of which sees its own', async () => {
    const bucket = await ceph().createBucket();
    const sites = ['hosts/one', 'hosts/two'].map((prefix) => {
      const site = new Site();
      site.conf(bucket, `prefix = ${prefix}\n`);
      return site;
    });
    for (const site of sites) expect(await site.run('archive', '--name', 'web1')).toMatchObject({ code: 0 });
    for (const site of sites) expect(await site.restored()).toEqual(treeOf(site.tree));
    for (const key of await keysIn(bucket)) expect(key).toMatch(/^hosts\/(one|two)\/(bundles|manifests)\//);
    const { stdout } = (await sites[0]?.run('list', '--json')) ?? { stdout: '' };
    expect(JSON.parse(stdout)).toHaveLength(1);
  });
});
