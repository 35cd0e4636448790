import { openS3Store } from '#src/store/s3.js';
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
});
