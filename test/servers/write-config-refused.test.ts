import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IAMClient, ListUsersCommand } from '@aws-sdk/client-iam';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runProgram } from '../kit/built-program.js';
import { type Ended, run } from '../unit/cli/command.js';
import { administrator, credentialsOf, type Identity, REGION } from './admin.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);
const hasCcrypt = existsSync('/usr/bin/ccrypt');
if (!hasCcrypt && process.env['CI']) throw new Error('the Debian package ccrypt is not installed');
const skipped = moto === undefined || !hasCcrypt || process.getuid?.() !== 0;

describe.skipIf(skipped)('write-config refused, against moto (needs root, ccrypt, python3, PyPI)', () => {
  const url = moto?.url ?? '';
  const server = ['--endpoint-url', url, '--cf-region', REGION];
  let folder: string;
  let admin: Identity;

  beforeAll(async () => {
    admin = await administrator(url);
    await moto?.enforceIamAfter(0);
    expect(await run(['create-resources', ...server], { env: admin })).toMatchObject({ code: 0 });
  });
  afterAll(async () => await moto?.stop());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-refused-'));
    writeFileSync(join(folder, 'password'), 'correct horse\n');
    writeFileSync(join(folder, 'empty'), '\nsecond line\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** `@` in an argument is the test's folder. */
  async function writeConfig(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    const all = ['write-config', '--conf-dir', '@/etc', '--unit-dir', '@', '--no-start', ...args];
    return await run(
      all.map((arg) => arg.replace(/^@/, folder)),
      { env: { ...admin, ...env } },
    );
  }

  async function users(): Promise<string[]> {
    const iam = new IAMClient({ endpoint: url, region: REGION, credentials: credentialsOf(admin) });
    return ((await iam.send(new ListUsersCommand({}))).Users ?? []).map(({ UserName = '' }) => UserName);
  }

  it.each<[what: string, args: string[], code: number, sentence: RegExp]>([
    [
      'a password file that is not there',
      ['--creds-file', '@/f.cpt', '--password-file', '@/no'],
      2,
      /cannot read the password: .*\/no/,
    ],
    [
      'a password file without one',
      ['--creds-file', '@/f.cpt', '--password-file', '@/empty'],
      2,
      /the first line of .*empty is empty/,
    ],
    [
      'a folder that is not there',
      ['--creds-file', '@/no/f.cpt', '--password-file', '@/password'],
      2,
      /no\/f\.cpt cannot be written/,
    ],
    [
      'a file with another key',
      ['--creds-file', '@/password', '--password-file', '@/password'],
      2,
      /there is a file .*password already/,
    ],
    [
      'a folder for units that is none',
      ['--unit-dir', '@/password'],
      1,
      /cannot write .*s3-sysbackup\.service/,
    ],
    ['a URL that is none', ['--endpoint-url', 'somewhere'], 2, /"somewhere" is no URL/],
    ['a server that is not there', ['--endpoint-url', 'http://127.0.0.1:1'], 1, /cannot ask CloudFormation/],
    ['a time that systemd cannot read', ['--bkpwin-start', 'noon'], 2, /"noon" is no time of the day/],
    [
      'a package name that AWS cannot take',
      ['--package-name', '1st'],
      2,
      /AWS cannot take the package name "1st"/,
    ],
    ['a package that there is not', ['--package-name', 'other'], 10, /no finished stack other/],
  ])('%s is said in a sentence, and nothing is left', async (_, args, code, sentence) => {
    const before = readdirSync(folder);
    const ended = await writeConfig(['--user', 'anna', ...server, ...args]);
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code, stdout: '' });
    expect(ended.stderr).toMatch(new RegExp(`^s3-sysbackup: .*${sentence.source}`, 'm'));
    expect(ended.stderr).not.toContain('unexpected');
    expect(readdirSync(folder)).toEqual(before);
    expect(await users()).toEqual(['administrator']);
  });

  it('root that does not carry the plan out is said, and the IAM user is removed again', async () => {
    chmodSync(folder, 0o755);
    const sudo = '#!/bin/sh\ncat >/dev/null\necho refused >&2\nexit 1\n';
    writeFileSync(join(folder, 'sudo'), sudo, { mode: 0o755 });
    const ended = await runProgram(
      ['write-config', ...server, '--user', 'anna', '--conf-dir', join(folder, 'etc'), '--yes'],
      {
        env: { ...admin, PATH: `${folder}:${process.env['PATH']}`, HOME: '/nonexistent' },
        wrapper: ['setpriv', '--reuid=34', '--regid=34', '--clear-groups'],
        cwd: '/',
      },
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('removed the IAM user anna again\n');
    expect(ended.stderr).toContain('s3-sysbackup: root did not carry out the plan');
    expect(await users()).toEqual(['administrator']);
    expect(readdirSync(folder).sort()).toEqual(['empty', 'password', 'sudo']);
  });

  it('a directory to store in that is a file, or somebody else’s, is said', async () => {
    const file = await writeConfig(['--directory', '@/password']);
    expect(file.code).toBe(1);
    expect(file.stderr).toContain('password is there already, and no folder');
    expect(readdirSync(folder).sort()).toEqual(['empty', 'password']);
    mkdirSync(join(folder, 'store'));
    const others = await writeConfig(['--directory', '@/store', '--dry-run']);
    expect(others.code).toBe(0);
    expect(others.stderr).toMatch(/^warning: .*\/store is there already, .*chown -R backup: /m);
    expect((await writeConfig(['--directory', '@/own', '--dry-run'])).stderr).not.toContain('chown');
  });

  it('a dry run shows the encrypted file, and what becomes of what is there', async () => {
    const save = ['--user', 'anna', ...server, '--creds-file', '@/f.cpt', '--password-file', '@/password'];
    const dry = await writeConfig([...save, '--dry-run']);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain(`file    0600 ${join(folder, 'f.cpt')} (encrypted`);
    expect(dry.stdout).toContain('/etc/conf (one that is there is kept beside it)\n');
    expect(readdirSync(folder).sort()).toEqual(['empty', 'password']);
  });

  it('a conf that is there is edited, and kept beside the new one; a run that fails leaves it as it is', async () => {
    const old = '# of ours\n[content]\n; long\ndays_retained = 20\nshare = no\n';
    mkdirSync(join(folder, 'etc'));
    writeFileSync(join(folder, 'etc', 'conf'), old);
    const failed = await writeConfig(['--user', 'anna', ...server, '--unit-dir', '@/password']);
    expect(failed.code).toBe(1);
    expect(readdirSync(join(folder, 'etc'))).toEqual(['conf']);
    expect(readFileSync(join(folder, 'etc', 'conf'), 'utf8')).toBe(old);
    expect((await writeConfig(['--ambient-creds', ...server, '--retain-days', '25'])).code).toBe(0);
    const conf = readFileSync(join(folder, 'etc', 'conf'), 'utf8');
    expect(conf).toMatch(/^# of ours\n\[content\]\n; long\ndays_retained = 25\nshare = no\n/);
    const kept = readdirSync(join(folder, 'etc')).filter((name) => name.endsWith('.old'));
    expect(kept.map((name) => readFileSync(join(folder, 'etc', name), 'utf8'))).toEqual([old]);
  });
});
