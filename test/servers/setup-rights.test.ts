import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  ListUsersCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, run } from '../unit/cli/command.js';
import { administrator, credentialsOf, type Identity, identityOf, REGION } from './admin.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);

interface Policy {
  Statement: { Sid: string; Action: string[] }[];
}

function documented(): Policy {
  const document = fileURLToPath(new URL('../../docs/permissions.md', import.meta.url));
  const [, json] = /^```json setup\n(.*?)^```$/ms.exec(readFileSync(document, 'utf8')) ?? [];
  return JSON.parse(json ?? 'null') as Policy;
}

function without(action: string): Policy {
  const { Statement, ...rest } = documented();
  return {
    ...rest,
    Statement: Statement.map((own) => ({ ...own, Action: own.Action.filter((name) => name !== action) })),
  };
}

describe.skipIf(moto === undefined)(
  'whoever sets up with the rights of docs/permissions.md, against moto (needs python3 and PyPI)',
  () => {
    const url = moto?.url ?? '';
    const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-setup-'));
    let iam: IAMClient;
    let somebody: Identity;

    beforeAll(async () => {
      const admin = await administrator(url);
      iam = new IAMClient({ endpoint: url, region: REGION, credentials: credentialsOf(admin) });
      await iam.send(new CreateUserCommand({ UserName: 'somebody' }));
      const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'somebody' }));
      somebody = identityOf(AccessKey?.AccessKeyId, AccessKey?.SecretAccessKey);
      await moto?.enforceIamAfter(0);
      await allow(documented());
    });
    afterAll(async () => {
      await moto?.stop();
      rmSync(folder, { recursive: true });
    });

    async function allow(policy: Policy): Promise<void> {
      const PolicyDocument = JSON.stringify(policy);
      await iam.send(new PutUserPolicyCommand({ UserName: 'somebody', PolicyName: 'own', PolicyDocument }));
    }
    async function command(name: string, ...args: string[]): Promise<Ended> {
      const server = ['--endpoint-url', url, '--cf-region', REGION];
      return await run([name, ...server, ...args], { env: somebody });
    }
    async function users(): Promise<string[]> {
      const { Users } = await iam.send(new ListUsersCommand({}));
      return (Users ?? []).map(({ UserName = '' }) => UserName);
    }
    const create = (): Promise<Ended> => command('create-resources');
    const update = (days: number): Promise<Ended> =>
      command('update-resources', '--max-lock-days', `${days}`, '--yes');
    const write = (user: string, ...more: string[]): Promise<Ended> =>
      command('write-config', '--user', user, '--conf-dir', join(folder, user), '--no-systemd-unit', ...more);

    it('can make and change the resources and a machine, and take back a user', async () => {
      expect(await create()).toMatchObject({ code: 0 });
      expect(await update(200)).toMatchObject({ code: 0 });
      expect(await write('first', '--renew-timer')).toMatchObject({ code: 0 });
      const units = ['--systemd-unit', 'a', '--unit-dir', '/dev/null', '--no-start'];
      const failed = await command(
        'write-config',
        '--user',
        'blocked',
        '--conf-dir',
        join(folder, 'b'),
        ...units,
      );
      expect(failed.code).toBe(1);
      expect(await users()).not.toContain('blocked');
    });

    it.each<[string, () => Promise<Ended>]>([
      ['cloudformation:DescribeStacks', create],
      ['cloudformation:DescribeStackEvents', () => update(201)],
      [
        'cloudformation:CreateStack',
        () => command('create-resources', '--package-name', 'b', '--export', 'b'),
      ],
      ['cloudformation:CreateChangeSet', () => update(202)],
      ['cloudformation:DescribeChangeSet', () => update(203)],
      ['cloudformation:ExecuteChangeSet', () => update(204)],
      ['iam:CreateUser', () => write('second')],
      ['iam:AddUserToGroup', () => write('third')],
      ['iam:CreateAccessKey', () => write('fourth')],
    ])('cannot without %s, and is told so', async (action, attempt) => {
      await allow(without(action));
      const { code, stderr } = await attempt();
      expect(code).toBe(12);
      expect(stderr).toMatch(/^s3-sysbackup: .*not authorized/m);
      expect(stderr).toMatch(/^hint: .*/m);
      expect(await users()).toEqual(expect.not.arrayContaining(['second', 'third', 'fourth']));
      await allow(documented());
    });
  },
);
