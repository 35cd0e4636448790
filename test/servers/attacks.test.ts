import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Retention } from '#src/store/port.js';
import { openS3Store } from '#src/store/s3.js';
import { describeAttacks, type Attacker } from '../kit/attacks.js';
import { md5Of } from '../kit/bodies.js';
import { describeWithCeph } from './ceph.js';
import { type GuardedBucket, guardedBucket } from './least-rights.js';

/** With the machine's own rights, except for delete markers, which the machine may not set. */
function attackerOf({ bucket, machine, owner }: GuardedBucket): Attacker {
  const lockInput = (lock: Retention | undefined) =>
    lock === undefined
      ? {}
      : { ObjectLockMode: lock.mode, ObjectLockRetainUntilDate: new Date(lock.until * 1000) };
  return {
    put: async (Key, bytes, lock) => {
      const Body = Buffer.from(bytes);
      const ContentMD5 = Buffer.from(md5Of(Body), 'hex').toString('base64');
      await machine.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentMD5, ...lockInput(lock) }));
    },
    putMultipart: async (Key, bytes, lock) => {
      const object = { Bucket: bucket, Key };
      const { UploadId } = await machine.send(
        new CreateMultipartUploadCommand({ ...object, ...lockInput(lock) }),
      );
      const part = { ...object, UploadId, PartNumber: 1 };
      const { ETag } = await machine.send(new UploadPartCommand({ ...part, Body: Buffer.from(bytes) }));
      const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
      await machine.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload }));
    },
    addDeleteMarker: async (Key) => {
      await owner.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    },
  };
}

describeWithCeph('attacks with the rights of the machine that backs up', {}, (ceph) => {
  describeAttacks('a bucket of Ceph', async () => {
    const guarded = await guardedBucket(ceph(), 'test-backup');
    return {
      store: await openS3Store({ bucket: guarded.bucket, client: guarded.machine }),
      reading: await openS3Store({ bucket: guarded.bucket, client: guarded.restorer }),
      attacker: attackerOf(guarded),
    };
  });
});
