import { readFile } from 'node:fs/promises';
import { cloudFormationOf } from '../aws/access.js';
import { DEFAULT_PACKAGE } from '../aws/create-resources.js';
import { describeStack, type StackState } from '../aws/stack.js';
import { messageOf, SysbackupError } from '../errors.js';
import { decrypt } from './ccrypt.js';
import { type AccessKey, readCarried } from './credentials-text.js';
import type { WriteConfigOptions } from './write-config-options.js';

/** What is known of where this machine is to store. */
export interface StoreFacts {
  bucket: string;
  region: string | undefined;
  endpointUrl: string | undefined;
  mode: string | undefined;
  retentionDays: number | undefined;
  maximumLockDays: number | undefined;
  /** Of a file that was decrypted. */
  key: AccessKey | undefined;
  /** The package's, where a stack was asked. */
  stack: StackState | undefined;
}

/** From the encrypted file, the option, or the stack; what the options name wins. Throws USAGE, NOT_FOUND, CONFIG. */
export async function storeFacts(options: WriteConfigOptions): Promise<StoreFacts> {
  if (options.credentials?.kind === 'encrypted') return await fromEncrypted(options);
  const { bucket, access, credentials } = options;
  // A user is made in the groups and the bounds that the stack names.
  if (bucket === undefined || credentials?.kind === 'user' || options.renewTimer)
    return await fromStack(options);
  const { region, endpointUrl } = access;
  return {
    bucket,
    region,
    endpointUrl,
    mode: undefined,
    retentionDays: undefined,
    maximumLockDays: undefined,
    key: undefined,
    stack: undefined,
  };
}

async function fromEncrypted(options: WriteConfigOptions): Promise<StoreFacts> {
  const { encrypted, access, env, signal } = options;
  if (encrypted === undefined) throw new SysbackupError('USAGE', 'no encrypted file is named');
  const { path, password } = encrypted;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new SysbackupError('USAGE', `cannot read the encrypted credentials ${path}: ${messageOf(cause)}`, {
      hint: 'To make a user and save its key there, name it with --user.',
      cause,
    });
  });
  const carried = readCarried(await decrypt(bytes, path, { password, env, signal }), path);
  const bucket = options.bucket ?? carried.bucket;
  if (bucket === undefined)
    throw new SysbackupError('USAGE', `${path} names no bucket`, { hint: 'Name it with --bucket.' });
  return {
    bucket,
    region: access.region ?? carried.region,
    endpointUrl: access.endpointUrl ?? carried.endpointUrl,
    mode: carried.mode,
    retentionDays: carried.retentionDays,
    maximumLockDays: carried.maximumLockDays,
    key: carried.key,
    stack: undefined,
  };
}

async function fromStack(options: WriteConfigOptions): Promise<StoreFacts> {
  const { access } = options;
  const name = options.stackName ?? options.packageName ?? DEFAULT_PACKAGE;
  const client = await cloudFormationOf(access);
  try {
    const stack = await describeStack(client, name);
    const bucket = stack?.outputs.get('BucketName');
    const region = access.region ?? (await client.config.region());
    if (stack === undefined || bucket === undefined)
      throw new SysbackupError('NOT_FOUND', `CloudFormation has no finished stack ${name} in ${region}`, {
        hint: 'Make it with create-resources, name it with --package-name, or name the bucket with --bucket.',
      });
    const number = (output: string): number | undefined => {
      const value = Number(stack.outputs.get(output));
      return value > 0 ? value : undefined;
    };
    return {
      bucket: options.bucket ?? bucket,
      region,
      endpointUrl: access.endpointUrl,
      mode: stack.outputs.get('RetentionMode'),
      retentionDays: number('RetentionDays'),
      maximumLockDays: number('MaximumLockDays'),
      key: undefined,
      stack,
    };
  } finally {
    client.destroy();
  }
}
