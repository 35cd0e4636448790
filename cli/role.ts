import type { Command } from 'commander';
import { type AssumeRequest, type Settings, SysbackupError } from '../src/index.js';
import type { Question } from './question.js';
import type { Session } from './session.js';

export interface RoleFlags {
  roleArn?: string;
  /** Of the AWS configuration. */
  profile?: string;
  package?: string;
  mfaDevice?: string;
  mfa?: string;
}

const CODE = /^\d{6}$/;

export function addRoleOptions(command: Command): void {
  command
    .optionsGroup('Who may read it:')
    .option('--role-arn <arn>', 'take this role')
    .option('--package <name>', 'take the restore role of these resources, as create-resources made them')
    .option('--mfa-device <serial>', 'prove by this device that it is you; its code is asked for')
    .option('--mfa <code>', 'that code, instead of being asked');
}

/** The role that is asked for, and how MFA is proven; undefined where neither is. Throws USAGE. */
export function assumeRequest(flags: RoleFlags, session: Session): AssumeRequest | undefined {
  const { roleArn, package: ofPackage, mfaDevice } = flags;
  if (roleArn !== undefined && ofPackage !== undefined)
    throw new SysbackupError('USAGE', '--role-arn and --package name two roles', { hint: 'Name one.' });
  if (roleArn !== undefined && !/^arn:[\w-]+:iam::[^:]*:role\/./.test(roleArn))
    throw new SysbackupError('USAGE', `--role-arn ${roleArn} is no role's ARN`, {
      hint: 'It is like arn:aws:iam::123456789012:role/my-backup-restore.',
    });
  if (flags.mfa !== undefined && mfaDevice === undefined)
    throw new SysbackupError('USAGE', '--mfa is the code of a device, and none is named', {
      hint: 'Give --mfa-device too: the ARN that AWS shows under "Security credentials", or a serial number.',
    });
  if (flags.mfa !== undefined && !CODE.test(flags.mfa))
    throw new SysbackupError('USAGE', '--mfa takes the six digits that the device shows');
  const role =
    roleArn === undefined ? (ofPackage === undefined ? undefined : { ofPackage }) : { arn: roleArn };
  const mfa =
    mfaDevice === undefined ? undefined : { device: mfaDevice, code: codeOf(mfaDevice, flags, session) };
  return role === undefined && mfa === undefined ? undefined : { role, mfa };
}

/**
 * The conf's store with the credentials that these options name: they replace its whole `[aws]` section, since the
 * machine's own credentials must not be those that read. Throws USAGE where the store is one that knows no roles.
 */
export function readAs(
  destination: Settings['destination'],
  { profile, roleArn, package: ofPackage, mfaDevice }: RoleFlags,
): Settings['destination'] {
  if (destination.kind === 'directory') {
    if (profile !== undefined)
      throw new SysbackupError('USAGE', `--profile has no meaning for the directory ${destination.path}`, {
        hint: 'Leave it out, or name a bucket.',
      });
    if (roleArn !== undefined || ofPackage !== undefined || mfaDevice !== undefined)
      throw new SysbackupError('USAGE', 'roles and MFA have no meaning for a directory', {
        hint: 'Leave them out, or name a bucket.',
      });
    return destination;
  }
  if (profile === undefined && roleArn === undefined && ofPackage === undefined) return destination;
  return { kind: 's3', s3: { ...destination.s3, aws: profile === undefined ? {} : { profile } } };
}

function codeOf(device: string, { mfa }: RoleFlags, session: Session): () => Promise<string> {
  const { question } = session;
  let given = mfa;
  if (given === undefined && question === undefined)
    throw new SysbackupError('USAGE', `there is no terminal to ask for the code of ${device} on`, {
      hint: 'Give it with --mfa.',
    });
  return async () => {
    const first = given;
    given = undefined;
    if (first !== undefined) return first;
    if (question === undefined)
      throw new SysbackupError('ACCESS_DENIED', `the session that the code of ${device} was for has ended`, {
        hint: 'Start the same command again with a new code: it goes on with what is there.',
      });
    return await asked(question, device, session);
  };
}

async function asked(question: Question, device: string, { screen, terminal }: Session): Promise<string> {
  for (;;) {
    if (terminal) screen.status('');
    const answer = await question(`Code of the MFA device ${device}: `);
    if (answer === undefined) throw new SysbackupError('ABORTED', 'no code was given');
    if (CODE.test(answer.trim())) return answer.trim();
  }
}
