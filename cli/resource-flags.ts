import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AwsAccess, ResourceParameters, ResourcesSummary } from '../src/index.js';
import type { Session } from './session.js';

/** Options of both commands about AWS resources. */
export interface ResourceFlags {
  packageName?: string;
  stackName?: string;
  cfRegion?: string;
  export?: string;
  bucketName?: string;
  mode?: 'GOVERNANCE' | 'COMPLIANCE';
  retainDays?: number;
  maxLockDays?: number;
  kmsKey?: string;
  profile?: string;
  endpointUrl?: string;
}

/** @param what `update`: what is left out keeps its value, and names cannot be changed */
export function addResourceOptions(command: Command, what: 'create' | 'update'): void {
  const creating = what === 'create';
  const byDefault = (value: string): string => (creating ? ` (default: ${value})` : '');
  command
    .option(
      '--package-name <name>',
      creating
        ? 'what roles, groups and policies are called (default: s3-sysbackup)'
        : 'as given to create-resources (default: s3-sysbackup)',
    )
    .option('--stack-name <name>', 'of the CloudFormation stack (default: the package name)')
    .option(
      '--cf-region <region>',
      'of the stack and the bucket (default: as AWS_REGION or the profile says)',
    )
    .option('--export <name>', `under which the stack exports the bucket's name${byDefault('backup-bucket')}`)
    .option(
      '--bucket-name <name>',
      creating
        ? 'of the bucket (default: AWS makes one up)'
        : 'only to be sure of it: a bucket keeps its name',
    )
    .addOption(
      new Option(
        '--mode <mode>',
        `of all locks; COMPLIANCE: nobody at all can lift one${byDefault('GOVERNANCE')}`,
      ).choices(['GOVERNANCE', 'COMPLIANCE']),
    )
    .option('--retain-days <n>', `days after which what is not locked goes${byDefault('14')}`, wholeDays)
    .option('--max-lock-days <n>', `the longest lock that the bucket takes${byDefault('100')}`, wholeDays)
    .option('--kms-key <arn>', `to encrypt with${byDefault("a key of S3's own")}`)
    .option('--profile <profile>', 'of the AWS configuration, with administrator rights')
    .option('--endpoint-url <url>', 'of a server other than AWS');
}

export function parametersOf(flags: ResourceFlags): ResourceParameters {
  return {
    packageName: flags.packageName,
    bucketName: flags.bucketName,
    exportName: flags.export,
    mode: flags.mode,
    retentionDays: flags.retainDays,
    maximumLockDays: flags.maxLockDays,
    kmsKeyArn: flags.kmsKey,
  };
}

export function accessOf(
  session: Session,
  { cfRegion, profile, endpointUrl }: Pick<ResourceFlags, 'cfRegion' | 'profile' | 'endpointUrl'>,
): AwsAccess {
  const { env, userAtHost } = session;
  return { region: cfRegion, profile, endpointUrl, env, userAtHost };
}

const DONE: Record<ResourcesSummary['result'], string> = {
  created: 'is made',
  existing: 'stands already; update-resources changes it',
  updated: 'is changed',
  unchanged: 'needs no change',
};

/** What was done, and what was made. */
export function printResources(session: Session, summary: ResourcesSummary): void {
  if (session.globals.json === true) {
    session.output.json(summary);
    return;
  }
  session.log.write('info', `the stack ${summary.stackName} ${DONE[summary.result]}`);
  for (const [name, value] of Object.entries(summary.outputs).sort())
    session.output.line(`${name.padEnd(18)} ${value}`);
}

export function wholeDays(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of days, 1 at least.');
}
