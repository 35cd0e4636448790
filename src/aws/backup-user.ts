import type { IAMClient } from '@aws-sdk/client-iam';
import { SysbackupError } from '../errors.js';
import { type AwsAccess, iamOf } from './access.js';
import { explainAwsError } from './explain.js';

/** A user of IAM to be made. */
export interface NewUser {
  name: string;
  group: string;
  /** ARN of the policy that bounds what it can ever be allowed. */
  boundary: string;
  /** The only backup name that it may store under; undefined: any. */
  backupName: string | undefined;
}

export interface MadeUser {
  key: { id: string; secret: string };
  /** Removes key, membership and user. */
  undo(): Promise<void>;
}

/** Throws USAGE where IAM takes no such name. */
export function checkUserName(name: string): void {
  if (/^[\w+=,.@-]{1,64}$/.test(name)) return;
  throw new SysbackupError('USAGE', `AWS cannot take the user name ${JSON.stringify(name)}`, {
    hint: 'It has 1 to 64 letters, digits and any of _+=,.@-',
  });
}

/**
 * Makes the user, puts it into its group and gives it an access key; takes all back where a step fails. Throws USAGE
 * where there is such a user already, NOT_FOUND where there is no such group, ACCESS_DENIED.
 */
export async function makeUser(access: AwsAccess, user: NewUser): Promise<MadeUser> {
  const client = await iamOf(access);
  const made = new UserSteps(client, user.name);
  try {
    await made.create(user);
    await made.join(user.group);
    const key = await made.giveKey();
    return {
      key,
      undo: async () => {
        await made.undo();
        client.destroy();
      },
    };
  } catch (error) {
    await made.undo();
    client.destroy();
    throw explained(error, user);
  }
}

class UserSteps {
  readonly #client: IAMClient;
  readonly #name: string;
  readonly #undo: (() => Promise<unknown>)[] = [];

  constructor(client: IAMClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  async create({ name, boundary, backupName }: NewUser): Promise<void> {
    const { CreateUserCommand, DeleteUserCommand } = await import('@aws-sdk/client-iam');
    await this.#client.send(
      new CreateUserCommand({
        UserName: name,
        PermissionsBoundary: boundary,
        Tags: [
          { Key: 'made-by', Value: 's3-sysbackup' },
          ...(backupName === undefined ? [] : [{ Key: 'backup-name', Value: backupName }]),
        ],
      }),
    );
    this.#undo.unshift(() => this.#client.send(new DeleteUserCommand({ UserName: name })));
  }

  async join(group: string): Promise<void> {
    const { AddUserToGroupCommand, RemoveUserFromGroupCommand } = await import('@aws-sdk/client-iam');
    const membership = { GroupName: group, UserName: this.#name };
    await this.#client.send(new AddUserToGroupCommand(membership));
    this.#undo.unshift(() => this.#client.send(new RemoveUserFromGroupCommand(membership)));
  }

  async giveKey(): Promise<MadeUser['key']> {
    const { CreateAccessKeyCommand, DeleteAccessKeyCommand } = await import('@aws-sdk/client-iam');
    const { AccessKey } = await this.#client.send(new CreateAccessKeyCommand({ UserName: this.#name }));
    const { AccessKeyId: id, SecretAccessKey: secret } = AccessKey ?? {};
    if (!id || !secret)
      throw new SysbackupError('STORE_FAILED', `IAM gave no key for the user ${this.#name}`);
    this.#undo.unshift(() =>
      this.#client.send(new DeleteAccessKeyCommand({ UserName: this.#name, AccessKeyId: id })),
    );
    return { id, secret };
  }

  /** The last step first. Throws STORE_FAILED where something had to be left. */
  async undo(): Promise<void> {
    for (const step of this.#undo.splice(0)) {
      try {
        await step();
      } catch (cause) {
        throw new SysbackupError('STORE_FAILED', `the IAM user ${this.#name} could not be removed again`, {
          hint: 'Remove it by hand, with its access key.',
          cause,
        });
      }
    }
  }
}

function explained(error: unknown, { name, group }: NewUser): SysbackupError {
  const kind = error instanceof Error ? error.name : '';
  if (kind.startsWith('EntityAlreadyExists'))
    return new SysbackupError('USAGE', `there is an IAM user ${name} already`, {
      hint: 'Name another, or remove that one first. A key that was saved before is taken over with --creds-file.',
      cause: error,
    });
  if (kind.startsWith('NoSuchEntity'))
    return new SysbackupError(
      'NOT_FOUND',
      `IAM has no group ${group}, or not the policy that bounds its users`,
      {
        hint: 'Make them with create-resources, and name the same package here.',
        cause: error,
      },
    );
  return explainAwsError(
    error,
    `cannot make the IAM user ${name}`,
    'It takes iam:CreateUser, iam:AddUserToGroup and iam:CreateAccessKey: run this as an administrator.',
  );
}
