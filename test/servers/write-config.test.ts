import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetUserCommand, IAMClient, ListGroupsForUserCommand, ListUsersCommand } from '@aws-sdk/client-iam';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Ended, run } from '../unit/cli/command.js';
import { administrator, credentialsOf, type Identity, REGION, underRole } from './admin.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);
const hasCcrypt = existsSync('/usr/bin/ccrypt');
if (!hasCcrypt && process.env['CI']) throw new Error('the Debian package ccrypt is not installed');

// What is written belongs to root and to the user backup.
const skipped = moto === undefined || process.getuid?.() !== 0;

describe.skipIf(skipped)('write-config against moto (needs root, python3, PyPI)', () => {
  const url = moto?.url ?? '';
  const server = ['--endpoint-url', url, '--cf-region', REGION];
  let folder: string;
  let admin: Identity;
  let outputs: Record<string, string>;

  beforeAll(async () => {
    admin = await administrator(url);
    await moto?.enforceIamAfter(0);
    const made = await run(['create-resources', ...server, '--json'], { env: admin });
    expect(made.stderr).toContain('CREATE_COMPLETE');
    expect(made.code).toBe(0);
    outputs = (JSON.parse(made.stdout) as { outputs: Record<string, string> }).outputs;
  });
  afterAll(async () => {
    await moto?.stop();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-write-config-'));
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'units'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function writeConfig(machine: string, ...args: string[]): Promise<Ended> {
    const where = ['--conf-dir', join(folder, machine), '--unit-dir', join(folder, 'units'), '--no-start'];
    return await run(['write-config', ...where, ...args], { env: admin });
  }

  /** Gives the machine a picker of a folder with one file, and a state directory in the test's own folder. */
  function pickFrom(machine: string, content: string): void {
    const data = join(folder, `${machine}-data`);
    mkdirSync(data);
    writeFileSync(join(data, 'letter'), content);
    const picker = join(folder, machine, 'pickers.d', 'data');
    writeFileSync(picker, `#!/bin/sh\nfind ${data}\n`);
    chmodSync(picker, 0o755);
    const conf = join(folder, machine, 'conf');
    writeFileSync(
      conf,
      readFileSync(conf, 'utf8').replace(
        'path = /var/lib/s3-sysbackup',
        `path = ${join(folder, machine, 'state')}`,
      ),
    );
  }

  async function users(): Promise<string[]> {
    const iam = new IAMClient({ endpoint: url, region: REGION, credentials: credentialsOf(admin) });
    const { Users } = await iam.send(new ListUsersCommand({}));
    return (Users ?? []).map(({ UserName = '' }) => UserName).filter((name) => name !== 'administrator');
  }

  it('from an empty account to the first restore, each command its own process and with its own rights', async () => {
    const written = await writeConfig('web1', ...server, '--user', 'anna');
    expect(written).toMatchObject({ code: 0 });
    pickFrom('web1', 'dear reader\n');
    const archived = await run(['archive', '--conf-dir', join(folder, 'web1')]);
    expect(archived).toMatchObject({ code: 0, stderr: '' });

    // Who backs up cannot read; who restores can.
    const key = /id = (.*)\n.*key = (.*)\n/.exec(readFileSync(join(folder, 'web1', 'credentials'), 'utf8'));
    const backup = {
      AWS_ACCESS_KEY_ID: key?.[1] ?? '',
      AWS_SECRET_ACCESS_KEY: key?.[2] ?? '',
      AWS_REGION: REGION,
    };
    const store = ['--bucket', outputs['BucketName'] ?? '', '--endpoint-url', url, '--region', REGION];
    const target = join(folder, 'back');
    const name = `${hostname()}-backup`;
    const refused = await run(['restore', name, '--target', target, ...store], { env: backup });
    expect(refused.code).toBe(12);
    const restorer = await underRole(url, admin, outputs['RestoreRoleArn'] ?? '');
    const restored = await run(['restore', name, '--target', target, ...store], { env: restorer });
    expect(restored).toMatchObject({ code: 0 });
    expect(readFileSync(join(target, folder, 'web1-data', 'letter'), 'utf8')).toBe('dear reader\n');
  });

  it('the user is in the group, within the bound, and may store under its own name only', async () => {
    await writeConfig('web1', ...server, '--user', 'bert');
    const iam = new IAMClient({ endpoint: url, region: REGION, credentials: credentialsOf(admin) });
    const { Groups } = await iam.send(new ListGroupsForUserCommand({ UserName: 'bert' }));
    expect(Groups?.map(({ GroupName }) => GroupName)).toEqual([outputs['BackupGroupName']]);
    const { User } = await iam.send(new GetUserCommand({ UserName: 'bert' }));
    expect(User?.Tags).toContainEqual({ Key: 'backup-name', Value: `${hostname()}-backup` });
    pickFrom('web1', 'a');
    const other = await run(['archive', '--conf-dir', join(folder, 'web1'), '--name', 'db1-backup']);
    expect(other).toMatchObject({ code: 12 });
    expect(other.stderr).toContain('manifests/db1-backup/');
  });

  it('a folder for units that is missing is made, and shown beforehand', async () => {
    const units = join(folder, 'new', 'units');
    const where = ['--directory', join(folder, 'new', 'store'), '--unit-dir', units, '--no-start'];
    const args = ['write-config', '--conf-dir', join(folder, 'web1'), ...where];
    const planned = await run([...args, '--dry-run']);
    expect(planned.code).toBe(0);
    for (const path of [join(folder, 'new'), units])
      expect(planned.stdout).toContain(`folder  0755 root:root ${path}\n`);
    expect(await run([...args, '--yes'])).toMatchObject({ code: 0 });
    expect(readdirSync(units)).toContain('s3-sysbackup.service');
    expect(statSync(units).mode & 0o7777).toBe(0o755);
  });

  it('the user may store under the name that the conf gives', async () => {
    mkdirSync(join(folder, 'web1'));
    writeFileSync(
      join(folder, 'web1', 'conf'),
      '[backup]\nname = shop\n\n[state]\npath = /var/lib/s3-sysbackup\n',
    );
    expect(await writeConfig('web1', ...server, '--user', 'carl')).toMatchObject({ code: 0 });
    pickFrom('web1', 'a');
    const archived = await run(['archive', '--conf-dir', join(folder, 'web1')]);
    expect(archived).toMatchObject({ code: 0, stderr: '' });
    expect(archived.stdout).toMatch(/^shop: run /);
  });

  it.skipIf(!hasCcrypt)('a second machine takes the encrypted key over (needs ccrypt)', async () => {
    const password = join(folder, 'password');
    const carried = join(folder, 'fleet.cpt');
    writeFileSync(password, 'correct horse\n');
    const first = await writeConfig(
      'web1',
      ...server,
      '--user',
      'fleet',
      '--creds-file',
      carried,
      '--password-file',
      password,
    );
    expect(first).toMatchObject({ code: 0 });
    expect(statSync(carried).mode & 0o777).toBe(0o600);
    expect(readFileSync(carried, 'utf8')).not.toContain('aws_access_key_id');

    // No AWS credentials there, and the password from the environment.
    const second = await run(
      ['write-config', '--conf-dir', join(folder, 'web2'), '--creds-file', carried, '--no-systemd-unit'],
      { env: { S3_SYSBACKUP_PASSWORD: 'correct horse' } },
    );
    expect(second).toMatchObject({ code: 0 });
    for (const machine of ['web1', 'web2']) {
      pickFrom(machine, `letter of ${machine}`);
      const archived = await run([
        'archive',
        '--conf-dir',
        join(folder, machine),
        '--name',
        `${machine}-backup`,
      ]);
      expect(archived).toMatchObject({ code: 0, stderr: '' });
    }
    expect(readFileSync(join(folder, 'web2', 'credentials'), 'utf8')).toBe(
      readFileSync(join(folder, 'web1', 'credentials'), 'utf8'),
    );
  });

  it.skipIf(!hasCcrypt)(
    'a wrong password is said in a sentence, and leaves nothing (needs ccrypt)',
    async () => {
      const password = join(folder, 'password');
      const carried = join(folder, 'fleet.cpt');
      writeFileSync(password, 'correct horse\n');
      await writeConfig(
        'web1',
        ...server,
        '--user',
        'flotte',
        '--creds-file',
        carried,
        '--password-file',
        password,
      );
      const wrong = await run(['write-config', '--conf-dir', join(folder, 'web2'), '--creds-file', carried], {
        env: { S3_SYSBACKUP_PASSWORD: 'wrong donkey' },
      });
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toContain(`the password does not open ${carried}`);
      expect(existsSync(join(folder, 'web2'))).toBe(false);
      const nobody = await run([
        'write-config',
        '--conf-dir',
        join(folder, 'web2'),
        '--creds-file',
        password,
      ]);
      expect(nobody.code).toBeGreaterThan(0);
      expect(existsSync(join(folder, 'web2'))).toBe(false);
    },
  );

  it('a step that fails takes back all before it, the IAM user too', async () => {
    writeFileSync(join(folder, 'no-folder'), '');
    const failed = await run(
      [
        'write-config',
        ...server,
        '--user',
        'cora',
        '--conf-dir',
        join(folder, 'web1'),
        '--unit-dir',
        join(folder, 'no-folder'),
      ],
      { env: admin },
    );
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('no-folder');
    expect(existsSync(join(folder, 'web1'))).toBe(false);
    expect(await users()).not.toContain('cora');
  });

  it('a user who may make no users is told so', async () => {
    const restorer = await underRole(url, admin, outputs['RestoreRoleArn'] ?? '');
    const refused = await run(
      ['write-config', ...server, '--user', 'dora', '--conf-dir', join(folder, 'web1')],
      { env: restorer },
    );
    expect(refused.code).toBe(12);
    expect(existsSync(join(folder, 'web1'))).toBe(false);
  });

  it('a user that is there already is not taken over', async () => {
    await writeConfig('web1', ...server, '--user', 'emil');
    const again = await writeConfig('web2', ...server, '--user', 'emil');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('there is an IAM user emil already');
    expect(await users()).toContain('emil');
  });

  it('a dry run names every file and command, and changes nothing', async () => {
    const dry = await writeConfig('web1', ...server, '--user', 'fritz', '--dry-run', '--renew-timer');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain(`0640 root:backup ${join(folder, 'web1', 'credentials')}`);
    expect(dry.stdout).toContain(`0644 root:root ${join(folder, 'web1', 'conf')}`);
    expect(dry.stdout).toContain('bundle_below = 1 MiB');
    expect(dry.stdout).toContain('s3-sysbackup-renew.timer');
    expect(readdirSync(folder)).toEqual(['units']);
    expect(readdirSync(join(folder, 'units'))).toEqual([]);
    expect(await users()).not.toContain('fritz');
  });

  it('a machine that renews has a user of its own for it, with a conf of its own', async () => {
    const written = await writeConfig('web1', ...server, '--user', 'gerda', '--renew-timer');
    expect(written).toMatchObject({ code: 0 });
    expect(await users()).toEqual(expect.arrayContaining(['gerda', 'gerda-renew']));
    pickFrom('web1', 'a');
    await run(['archive', '--conf-dir', join(folder, 'web1')]);
    const renewed = await run(['renew', '--conf-dir', join(folder, 'web1', 'renew')]);
    expect(renewed).toMatchObject({ code: 0, stderr: '' });
    const stolen = await run(['archive', '--conf-dir', join(folder, 'web1', 'renew')]);
    expect(stolen.code).not.toBe(0);
  });

  it('locks that the bucket would refuse are said before anything is written', async () => {
    const refused = await writeConfig('web1', ...server, '--user', 'hans', '--retain-days', '90');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--max-lock-days 136');
    expect(await users()).not.toContain('hans');
  });

  it('a package that was never made is said, with what to do', async () => {
    const refused = await writeConfig('web1', ...server, '--user', 'ida', '--package-name', 'nothing');
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain('create-resources');
    const unfit = await writeConfig('web1', ...server, '--user', 'ida', '--package-name', 'my backups!');
    expect(unfit.code).toBe(2);
    const window = await writeConfig('web1', ...server, '--user', 'ida', '--bkpwin-start', 'noon');
    expect(window.code).toBe(2);
    expect(window.stderr).toContain('is no time of the day');
    expect(await users()).not.toContain('ida');
  });

  it.skipIf(!existsSync('/usr/bin/systemd-analyze'))(
    'systemd takes the units as they are written (needs systemd-analyze)',
    async () => {
      await writeConfig('web1', ...server, '--user', 'jan', '--renew-timer');
      await run([
        'write-config',
        '--directory',
        join(folder, 'store'),
        '--systemd-unit',
        'to-disk',
        '--conf-dir',
        join(folder, 'disk'),
        '--unit-dir',
        join(folder, 'units'),
        '--no-start',
      ]);
      const units = readdirSync(join(folder, 'units')).map((name) => join(folder, 'units', name));
      expect(units).toHaveLength(8);
      // Whatever is wrong is said on standard error, which makes it an error here.
      const verified = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8' });
      expect(verified).toMatchObject({ status: 0, stderr: '', stdout: '' });
      for (const unit of units.filter((name) => name.endsWith('.service'))) {
        const rated = execFileSync('systemd-analyze', ['security', '--offline=true', unit]).toString();
        const level = Number(/exposure level for \S+: ([\d.]+)/.exec(rated)?.[1]);
        expect(level).toBeGreaterThan(0);
        expect(level).toBeLessThanOrEqual(3);
      }
    },
  );
});
