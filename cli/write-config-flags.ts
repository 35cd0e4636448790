import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type PasswordSource, SysbackupError, type WantedCredentials } from '../src/index.js';
import type { Session } from './session.js';
import { wholeDays } from './resource-flags.js';

export interface WriteConfigFlags {
  packageName?: string;
  stackName?: string;
  cfRegion?: string;
  endpointUrl?: string;
  bucket?: string;
  directory?: string;
  user?: string;
  ambientCreds?: true;
  /** False: --no-creds-file. */
  credsFile?: string | false;
  profile?: string;
  passwordFile?: string;
  retainDays?: number;
  /** False: --no-systemd-unit. */
  systemdUnit: string | false;
  unitDir: string;
  bkpwinStart: string;
  bkpwinLength: string;
  start: boolean;
  renewTimer?: true;
  dryRun?: true;
  yes?: true;
  carryOut?: true;
}

/** Where the password is taken from without asking, where it is set. */
export const PASSWORD_VARIABLE = 'S3_SYSBACKUP_PASSWORD';

export function addWriteConfigOptions(command: Command): void {
  command
    .optionsGroup('As whom it backs up (one of these):')
    .option('--user <iam-user>', 'make this IAM user, with an access key, and rights to back up only')
    .option('--creds-file <file>', 'take the key from this encrypted file; with --user: save it there too')
    .option('--profile <profile>', 'a profile of the AWS configuration of the user that backs up')
    .option('--ambient-creds', "the machine's own role, or what the environment holds")
    .option('--no-creds-file', 'leave [aws] as it is: somebody else sees to the credentials')
    .optionsGroup('Where to:')
    .option('--package-name <name>', 'as given to create-resources (default: s3-sysbackup)')
    .option('--stack-name <name>', 'of the CloudFormation stack (default: the package name)')
    .option('--cf-region <region>', 'of the stack and the bucket')
    .option('--bucket <name>', 'the bucket itself, so that no stack is asked')
    .option('--endpoint-url <url>', 'of a server other than AWS')
    .option('--directory <path>', 'a directory instead of a bucket')
    .optionsGroup('When, and how long:')
    .option('--retain-days <n>', "days for which all is locked (default: the package's, or 14)", wholeDays)
    .option('--systemd-unit <name>', 'of the service and its timer', 's3-sysbackup')
    .option('--no-systemd-unit', 'write no units')
    .option('--unit-dir <dir>', 'where units belong', '/etc/systemd/system')
    .option('--bkpwin-start <time>', 'from when on it may begin', '01:00')
    .option('--bkpwin-length <time>', 'and within what time', '4h')
    .option('--no-start', 'do not start the timer yet')
    .option('--renew-timer', 'renew the locks of the whole bucket daily from here, with rights of their own')
    .optionsGroup('Otherwise:')
    .option(
      '--password-file <file>',
      `its first line is the password (or: ${PASSWORD_VARIABLE} in the environment)`,
    )
    .option('--dry-run', 'show every file with its mode and every command, and do nothing')
    .option('--yes', 'do not ask before sudo');
}

/** Throws USAGE where several are named, or none and it must be. */
export function credentialsOf(flags: WriteConfigFlags): WantedCredentials | undefined {
  const { user, credsFile, profile, ambientCreds } = flags;
  if (user !== undefined && credsFile === false)
    throw new SysbackupError('USAGE', '--user makes a key, and with --no-creds-file it would be lost', {
      hint: 'Leave out one or the other.',
    });
  const chosen: [string, WantedCredentials][] = [
    ...(user === undefined ? [] : [['--user', { kind: 'user', name: user }] as [string, WantedCredentials]]),
    ...(typeof credsFile === 'string' && user === undefined
      ? [['--creds-file', { kind: 'encrypted' }] as [string, WantedCredentials]]
      : []),
    ...(profile === undefined
      ? []
      : [['--profile', { kind: 'profile', profile }] as [string, WantedCredentials]]),
    ...(ambientCreds ? [['--ambient-creds', { kind: 'ambient' }] as [string, WantedCredentials]] : []),
  ];
  if (chosen.length > 1)
    throw new SysbackupError(
      'USAGE',
      `${chosen.map(([option]) => option).join(' and ')} name several identities`,
      {
        hint: 'Name one. As whom AWS is asked now, say with AWS_PROFILE in the environment.',
      },
    );
  const [first] = chosen;
  if (first !== undefined) return first[1];
  return credsFile === false ? { kind: 'unchanged' } : undefined;
}

export function encryptedOf(
  flags: WriteConfigFlags,
  session: Session,
): { path: string; password: PasswordSource } | undefined {
  const { credsFile, passwordFile } = flags;
  if (typeof credsFile !== 'string') {
    if (passwordFile === undefined) return undefined;
    throw new SysbackupError('USAGE', '--password-file is for the file that --creds-file names');
  }
  const path = resolve(session.workingFolder, credsFile);
  return { path, password: passwordOf(passwordFile, session) };
}

function passwordOf(file: string | undefined, session: Session): PasswordSource {
  if (file !== undefined) return { kind: 'file', path: resolve(session.workingFolder, file) };
  if (session.env[PASSWORD_VARIABLE] !== undefined) return { kind: 'environment', name: PASSWORD_VARIABLE };
  return { kind: 'terminal', show: (text) => process.stderr.write(text) };
}
