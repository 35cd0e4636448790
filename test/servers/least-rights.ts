import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { type BucketPolicy, documentedPolicy } from '../kit/documented-policy.js';
import type { CephServer, S3Keys } from './ceph.js';

/** Who the document's policy knows, beside the bucket's owner. */
const USERS = ['web1', 'restorer', 'renewer', 'auditor'] as const;
type User = (typeof USERS)[number];

/** A bucket under the policy of docs/permissions.md, and who comes to it. */
export interface GuardedBucket {
  bucket: string;
  owner: S3Client;
  /** The backed-up machine's rights, for whoever has taken them. */
  machine: S3Client;
  restorer: S3Client;
  renewer: S3Client;
  keys: Readonly<Record<User, S3Keys>>;
  policy: BucketPolicy;
  /** Puts another policy in its place. */
  setPolicy(policy: BucketPolicy): Promise<void>;
}

/** Made once for each server, as each takes half a second. */
const made = new WeakMap<CephServer, Promise<Record<User, S3Keys>>>();

async function addUsers(ceph: CephServer): Promise<Record<User, S3Keys>> {
  const [web1, restorer, renewer, auditor] = [
    await ceph.addUser('web1'),
    await ceph.addUser('restorer'),
    await ceph.addUser('renewer'),
    await ceph.addUser('auditor'),
  ];
  return { web1, restorer, renewer, auditor };
}

export async function guardedBucket(ceph: CephServer, backupName: string): Promise<GuardedBucket> {
  const bucket = await ceph.createBucket();
  const owner = new S3Client(ceph.clientConfig());
  const setPolicy = async (policy: BucketPolicy): Promise<void> => {
    await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(policy) }));
  };
  const policy = documentedPolicy(bucket, backupName);
  await setPolicy(policy);
  const users = made.get(ceph) ?? addUsers(ceph);
  made.set(ceph, users);
  const keys = await users;
  const clientOf = (user: User): S3Client => new S3Client(ceph.clientConfig({ keys: keys[user] }));
  const [machine, restorer, renewer] = [clientOf('web1'), clientOf('restorer'), clientOf('renewer')];
  return { bucket, owner, machine, restorer, renewer, keys, policy, setPolicy };
}
