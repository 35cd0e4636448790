import { isAmazonEndpoint } from '../config/endpoint.js';
import { byNearness } from '../config/nearest-name.js';
import type { S3Settings } from '../config/settings.js';
import { SysbackupError } from '../errors.js';
import type { AwsClients } from './clients.js';
import { explainAwsError } from './explain.js';

/** How many exports a message about a missing one names. */
const NAMED = 5;

/**
 * The bucket to store in: `[s3] bucket`, else the value of the CloudFormation export. Throws `NOT_FOUND`, with the
 * nearest names, where there is no such export; `ACCESS_DENIED` where exports may not be listed.
 */
export async function bucketOf(s3: S3Settings, clients: Pick<AwsClients, 'cloudFormation'>): Promise<string> {
  if (s3.bucket !== undefined) return s3.bucket;
  const wanted = s3.cloudFormation.export;
  const client = await clients.cloudFormation();
  const names: string[] = [];
  try {
    const { paginateListExports } = await import('@aws-sdk/client-cloudformation');
    for await (const page of paginateListExports({ client }, {}))
      for (const { Name, Value } of page.Exports ?? []) {
        if (Name === wanted && Value) return Value;
        if (Name !== undefined) names.push(Name);
      }
  } catch (error) {
    throw notLookedUp(error, s3);
  } finally {
    client.destroy();
  }
  const region = s3.cloudFormation.region ?? s3.region;
  throw new SysbackupError(
    'NOT_FOUND',
    `CloudFormation has no export ${wanted}${region === undefined ? '' : ` in ${region}`}${namesNear(wanted, names)}`,
    {
      hint: 'Set bucket in [s3], or export and region in [cloudformation]; create-resources makes a bucket.',
    },
  );
}

function namesNear(wanted: string, names: readonly string[]): string {
  if (names.length === 0) return ', nor any other';
  const nearest = byNearness(wanted, names).slice(0, NAMED);
  const rest = names.length - nearest.length;
  return `; there are ${nearest.map(({ name }) => name).join(', ')}${rest === 0 ? '' : ` and ${rest} more`}`;
}

function notLookedUp(error: unknown, s3: S3Settings): SysbackupError {
  const doing = `cannot look up the bucket in CloudFormation's export ${s3.cloudFormation.export}`;
  const explained = explainAwsError(error, doing, 'Allow cloudformation:ListExports, or set bucket in [s3].');
  if (explained.code !== 'STORE_FAILED' || isAmazonEndpoint(s3.endpointUrl)) return explained;
  return new SysbackupError(explained.code, explained.message, {
    hint: `Set bucket in [s3]: ${s3.endpointUrl} may well have no CloudFormation.`,
    cause: error,
  });
}
