import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { type BucketPolicy, documentedPolicy } from '../kit/documented-policy.js';
import type { CephServer, S3Keys } from './ceph.js';

/** A bucket under the policy of docs/permissions.md, and who comes to it. */
export interface GuardedBucket {
  bucket: string;
  owner: S3Client;
  /** The backed-up machine's rights, for whoever has taken them. */
  machine: S3Client;
  machineKeys: S3Keys;
  restorer: S3Client;
  restorerKeys: S3Keys;
  policy: BucketPolicy;
  /** Puts another policy in its place. */
  setPolicy(policy: BucketPolicy): Promise<void>;
}

/** Made once for each server, as each takes half a second. */
const users = new WeakMap<CephServer, Promise<[machine: S3Keys, restorer: S3Keys]>>();

function usersOf(ceph: CephServer): Promise<[machine: S3Keys, restorer: S3Keys]> {
  const made =
    users.get(ceph) ??
    (async (): Promise<[S3Keys, S3Keys]> => [await ceph.addUser('web1'), await ceph.addUser('restorer')])();
  users.set(ceph, made);
  return made;
}

export async function guardedBucket(ceph: CephServer, backupName: string): Promise<GuardedBucket> {
  const bucket = await ceph.createBucket();
  const owner = new S3Client(ceph.clientConfig());
  const setPolicy = async (policy: BucketPolicy): Promise<void> => {
    await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(policy) }));
  };
  const policy = documentedPolicy(bucket, backupName);
  await setPolicy(policy);
  const [machineKeys, restorerKeys] = await usersOf(ceph);
  return {
    bucket,
    owner,
    machine: new S3Client(ceph.clientConfig({ keys: machineKeys })),
    machineKeys,
    restorer: new S3Client(ceph.clientConfig({ keys: restorerKeys })),
    restorerKeys,
    policy,
    setPolicy,
  };
}
