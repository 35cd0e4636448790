import { DeleteObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import type { Retention } from '#src/store/port.js';
import { openS3Store } from '#src/store/s3.js';
import { bodyOf, readAll } from '../kit/bodies.js';
import { describeStoreContract } from '../kit/store-contract.js';
import { describeWithCeph } from './ceph.js';

describeWithCeph('a bucket of Ceph', {}, (ceph) => {
  let bucket: Promise<string> | undefined;
  let count = 0;

  describeStoreContract(
    's3 on Ceph',
    async () => {
      bucket ??= ceph().createBucket();
      count += 1;
      const prefix = `test ${count}/`;
      return { store: await openS3Store({ bucket: await bucket, prefix, client: ceph().clientConfig() }) };
    },
    { sameBytesAreOneVersion: false },
  );

  const retention = (): Retention => ({ mode: 'GOVERNANCE', until: Math.ceil(Date.now() / 1000) + 86_400 });

  it('without Object Lock stores version null, and refuses locks', async () => {
    const plain = await ceph().createBucket({ objectLock: false });
    const store = await openS3Store({ bucket: plain, client: ceph().clientConfig() });
    expect(await store.put({ key: 'k', body: bodyOf('x'), retention: undefined })).toEqual({
      version: 'null',
    });
    expect(await store.capabilities()).toEqual({ objectLock: false, versioning: false });
    expect((await store.list({ prefix: '' })).versions).toMatchObject([
      { key: 'k', version: 'null', isLatest: true },
    ]);
    expect((await readAll(await store.get('k', 'null'))).toString()).toBe('x');
    expect((await store.head('k', 'null')).retention).toBeUndefined();
    expect(await store.getRetention('k', 'null')).toBeUndefined();
    await expect(store.put({ key: 'k', body: bodyOf('y'), retention: retention() })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      retryable: false,
    });
    await store.close();
  });

  it('lists delete markers among the versions, and reads none of them', async () => {
    const name = await ceph().createBucket();
    const client = new S3Client(ceph().clientConfig());
    const store = await openS3Store({ bucket: name, client });
    const { version } = await store.put({ key: 'a', body: bodyOf('x'), retention: retention() });
    await store.put({ key: 'b', body: bodyOf('y'), retention: retention() });
    const { VersionId: marker = '' } = await client.send(new DeleteObjectCommand({ Bucket: name, Key: 'a' }));
    const { versions } = await store.list({ prefix: '' });
    expect(versions.map((row) => [row.key, row.deleteMarker, row.isLatest])).toEqual([
      ['a', true, true],
      ['a', false, false],
      ['b', false, true],
    ]);
    await expect(store.get('a', marker)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(store.head('a', marker)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await store.head('a', version)).size).toBe(1);
    client.destroy();
  });

  it('says what is wrong with rights, keys and names', async () => {
    const name = await ceph().createBucket();
    const put = async (client: S3ClientConfig, bucket = name): Promise<unknown> => {
      const store = await openS3Store({ bucket, client });
      return store.put({ key: 'k', body: bodyOf('x'), retention: retention() }).finally(() => store.close());
    };
    const other = await ceph().addUser('stranger');
    await expect(put(ceph().clientConfig({ keys: other }))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('s3:PutObjectRetention'),
    });
    const wrong = { ...other, secretAccessKey: 'wrong' };
    await expect(put(ceph().clientConfig({ keys: wrong }))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('secret key'),
    });
    const nobody = { accessKeyId: 'nobody', secretAccessKey: 'x' };
    await expect(put(ceph().clientConfig({ keys: nobody }))).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    await expect(put(ceph().clientConfig(), 'no-such-bucket')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
