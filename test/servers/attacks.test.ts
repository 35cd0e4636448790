import { createHash, randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { contentKey } from '#src/manifest/keys.js';
import type { Retention } from '#src/store/port.js';
import { openS3Store } from '#src/store/s3.js';
import { describeAttacks, type Attacker } from '../kit/attacks.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { md5Of } from '../kit/bodies.js';
import { restoreTree, treeOf } from '../kit/trees.js';
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

  describe('the right bytes, encrypted by the server with a key that only the attacker has (SSE-C)', () => {
    // Ceph gives such a version the MD5 of its bytes as ETag (Amazon S3 does not), and nothing that the machine may
    // ask tells it from a readable one.
    async function encrypted(share: boolean) {
      const { bucket, machine: thief, restorer } = await guardedBucket(ceph(), 'test-backup');
      const machine = new BackupMachine();
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, share } };
      machine.store = await openS3Store({ bucket, client: thief });
      const Body = randomBytes(1000);
      const path = machine.write('file', Body);
      utimesSync(path, 1_600_000_000, 1_600_000_000);
      machine.write('other', randomBytes(1000));
      const key = randomBytes(32);
      await thief.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: contentKey(createHash('sha256').update(Body).digest('hex')),
          Body,
          SSECustomerAlgorithm: 'AES256',
          SSECustomerKey: key.toString('base64'),
          SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
        }),
      );
      const { summary } = await machine.archive();
      expect(summary.outcome).toBe('complete');
      const reading = await openS3Store({ bucket, client: restorer });
      return { machine, restored: await restoreTree(reading, machine.tree) };
    }

    it('is not used with share = no: the backup is restored', async () => {
      const { machine, restored } = await encrypted(false);
      expect(restored.tree).toEqual(treeOf(machine.tree));
    });

    it('is used with share = yes: a restore refuses that file, and brings all others', async () => {
      const { machine, restored } = await encrypted(true);
      expect(restored.summary).toMatchObject({ failed: 1, problems: [{ path: join(machine.tree, 'file') }] });
      expect(Object.keys(restored.tree)).toEqual(['.', 'other']);
    });
  });
});
