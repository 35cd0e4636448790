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

export function addResourceOptions(command: Command): void {
  command
    .option('--package-name <name>', 'what roles, groups and policies are called (default: s3-sysbackup)')
    .option('--stack-name <name>', 'of the CloudFormation stack (default: the package name)')
    .option('--cf-region <region>', 'of the stack and the bucket')
    .option('--export <name>', "under which the stack exports the bucket's name (default: backup-bucket)")
    .option('--bucket-name <name>', 'of the bucket (default: AWS makes one up)')
    .addOption(
      new Option('--mode <mode>', 'of all locks; COMPLIANCE: nobody at all can lift one').choices([
        'GOVERNANCE',
        'COMPLIANCE',
      ]),
    )
    .option('--retain-days <n>', 'days after which what is not locked goes (default: 14)', wholeDays)
    .option('--max-lock-days <n>', 'the longest lock that the bucket takes (default: 100)', wholeDays)
    .option('--kms-key <arn>', 'to encrypt with')
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
