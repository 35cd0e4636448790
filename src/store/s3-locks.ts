import { createHash } from 'node:crypto';
import type { ObjectLockRetentionMode, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import type { Retention } from './port.js';
import { s3ErrorName } from './s3-errors.js';

/** What servers answer where a bucket has no Object Lock, or where they do not know it at all. */
const LOCKLESS_BUCKET = new Set([
  'ObjectLockConfigurationNotFoundError',
  'ObjectLockConfigurationNotFound',
  'NotImplemented',
]);

/** What servers answer of a version without a lock: the second is Ceph's, also where the bucket locks. */
const UNLOCKED = new Set(['NoSuchObjectLockConfiguration', 'ObjectLockConfigurationNotFoundError']);

/** Whether the error says that a bucket has no Object Lock. */
export function saysLockless(error: unknown): boolean {
  return LOCKLESS_BUCKET.has(s3ErrorName(error));
}

/** Whether the error says that a version has no lock. */
export function saysUnlocked(error: unknown): boolean {
  const name = s3ErrorName(error);
  if (UNLOCKED.has(name)) return true;
  return name === 'InvalidRequest' && error instanceof Error && /object lock/i.test(error.message);
}

/** A lock as a PUT wants it. */
export function lockInput({ mode, until }: Retention): {
  ObjectLockMode: Retention['mode'];
  ObjectLockRetainUntilDate: Date;
} {
  return { ObjectLockMode: mode, ObjectLockRetainUntilDate: new Date(until * 1000) };
}

/** A lock as the port has it. */
export function retentionOf(
  mode: ObjectLockRetentionMode | string | undefined,
  until: Date | undefined,
): Retention | undefined {
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || until === undefined) return undefined;
  return { mode, until: Math.floor(until.getTime() / 1000) };
}

/** AWS wants a checksum of this request; MD5 is the one that every S3-compatible server knows. */
export function addContentMd5(command: PutObjectRetentionCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers, body } = args.request as { headers: Record<string, string>; body: unknown };
      for (const name of Object.keys(headers))
        if (/^x-amz-(sdk-)?checksum-/i.test(name)) delete headers[name];
      headers['content-md5'] = createHash('md5').update(String(body)).digest('base64');
      return next(args);
    },
    { step: 'build', priority: 'low', name: 'sysbackupContentMd5' },
  );
}
