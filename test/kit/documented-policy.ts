import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DOCUMENT = join(import.meta.dirname, '../../docs/permissions.md');

interface Statement {
  Sid: string;
  Effect: 'Allow' | 'Deny';
  Action: string[];
}

export interface BucketPolicy {
  Statement: Statement[];
}

/**
 * The bucket policy that docs/permissions.md gives for Ceph, for this bucket and backup name. Its users are `web1`,
 * who backs up, and `restorer`.
 */
export function documentedPolicy(bucket: string, backupName: string): BucketPolicy {
  const [, json] = /^```json ceph\n(.*?)^```$/ms.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  if (json === undefined) throw new Error(`no policy for Ceph in ${DOCUMENT}`);
  return JSON.parse(
    json.replaceAll('my-backups', bucket).replaceAll('web1-backup', backupName),
  ) as BucketPolicy;
}

/**
 * The same policy without one of the rights that it allows the machine. On objects it is denied, since on Ceph the
 * machine owns what it has uploaded.
 */
export function withoutRight(policy: BucketPolicy, action: string): BucketPolicy {
  const isOfBucket = /^s3:(List|GetBucket)/.test(action);
  const Statement = policy.Statement.flatMap((statement) => {
    if (statement.Effect === 'Deny')
      return [isOfBucket ? statement : { ...statement, Action: [...statement.Action, action] }];
    const Action = statement.Action.filter((allowed) => allowed !== action);
    return Action.length === 0 ? [] : [{ ...statement, Action }];
  });
  return { ...policy, Statement };
}
