import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';
import { MAIN, run } from './command.js';

const isRoot = process.getuid?.() === 0;

describe('write-config', () => {
  it.each<[string[], number, string]>([
    [[], 2, 'nothing says as whom this machine is to back up'],
    [['--user', 'a', '--profile', 'b'], 2, '--user and --profile name several identities'],
    [['--user', 'a', '--no-creds-file'], 2, '--user makes a key'],
    [['--user', 'not a name'], 2, 'AWS cannot take the user name'],
    [['--user', 'a', '--package-name', 'no/name'], 2, 'AWS cannot take the package name'],
    [['--user', 'a', '--bkpwin-start', '25:00'], 2, '--bkpwin-start "25:00" is no time of the day'],
    [['--user', 'a', '--bkpwin-length', 'long'], 2, '--bkpwin-length "long" is no length of a window'],
    [['--user', 'a', '--systemd-unit', 'a/b'], 2, 'systemd cannot take the unit name'],
    [['--directory', '/srv/backup', '--user', 'a'], 2, 'a directory store takes neither credentials nor'],
    [['--creds-file', '/nowhere/a.cpt', '--renew-timer'], 2, 'may only back up, not renew'],
    [
      ['--password-file', 'x', '--ambient-creds'],
      2,
      '--password-file is for the file that --creds-file names',
    ],
    [['--retain-days', '0', '--ambient-creds'], 2, 'whole number of days'],
  ])('refuses %j in a sentence, and leaves nothing', async (args, code, sentence) => {
    const folder = temporaryFolder();
    const ended = await run([
      'write-config',
      '--conf-dir',
      join(folder, 'etc'),
      '--unit-dir',
      folder,
      ...args,
    ]);
    expect(ended.stderr).toContain(sentence);
    expect(ended.code).toBe(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says that ccrypt is missing, and how it is called', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'fleet.cpt'), 'x');
    const ended = await run(
      ['write-config', '--conf-dir', join(folder, 'etc'), '--creds-file', join(folder, 'fleet.cpt')],
      { env: { PATH: '/nowhere', S3_SYSBACKUP_PASSWORD: 'x' } },
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('there is no program ccrypt on this machine');
    expect(ended.stderr).toContain('hint: Install it');
    expect(existsSync(join(folder, 'etc'))).toBe(false);
  });

  it('takes no plan that is none', async () => {
    expect((await run(['write-config', '--carry-out'])).code).toBe(2);
  });

  it('shows a plan as JSON, without what must not be shown', async () => {
    const folder = temporaryFolder();
    const bucket = ['--ambient-creds', '--bucket', 'locked', '--cf-region', 'eu-central-1'];
    const ended = await run([
      'write-config',
      '--conf-dir',
      join(folder, 'etc'),
      ...bucket,
      '--dry-run',
      '--json',
    ]);
    expect(ended.code).toBe(0);
    const { done, steps } = JSON.parse(ended.stdout) as { done: boolean; steps: Record<string, unknown>[] };
    expect(done).toBe(false);
    const conf = steps.find(({ path }) => path === join(folder, 'etc', 'conf'));
    expect(conf?.['content']).toContain('bucket = locked\n');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.skipIf(!isRoot)('write-config by somebody who is not root (needs root, to be somebody else)', () => {
  const SOMEBODY = 34;

  function writeConfig(
    folder: string,
    ...args: string[]
  ): { status: number | null; stderr: string; stdout: string } {
    const who = [`--reuid=${SOMEBODY}`, `--regid=${SOMEBODY}`, '--clear-groups'];
    const command = [process.execPath, MAIN, 'write-config', '--unit-dir', folder, '--no-start', ...args];
    const env = { PATH: `${folder}/bin:${process.env['PATH']}`, HOME: folder };
    return spawnSync('setpriv', [...who, ...command], { encoding: 'utf8', env, cwd: '/' });
  }

  /** A sudo that keeps what it is handed, and ends with this code. */
  function withSudo(code: number): string {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    for (const name of ['bin', 'said']) mkdirSync(join(folder, name));
    chmodSync(join(folder, 'said'), 0o777);
    writeFileSync(
      join(folder, 'bin', 'sudo'),
      `#!/bin/sh\necho "$@" > ${folder}/said/words\ncat > ${folder}/said/plan\nexit ${code}\n`,
      { mode: 0o755 },
    );
    return folder;
  }

  it('has root do what takes root, with no key on any command line', () => {
    const folder = withSudo(0);
    const args = ['--conf-dir', join(folder, 'etc'), '--directory', join(folder, 'store')];
    const unasked = writeConfig(folder, ...args);
    expect(unasked.status).toBe(2);
    expect(unasked.stderr).toContain('--yes');
    expect(existsSync(join(folder, 'said', 'plan'))).toBe(false);
    const ended = writeConfig(folder, ...args, '--yes');
    expect(ended).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, 'said', 'words'), 'utf8')).toMatch(
      /^-- \S+ \S+main\.js write-config --carry-out\n$/,
    );
    const plan = JSON.parse(readFileSync(join(folder, 'said', 'plan'), 'utf8')) as { path?: string }[];
    expect(plan.map(({ path }) => path)).toContain(join(folder, 'etc', 'conf'));
  });

  it('fails where root does', () => {
    const folder = withSudo(1);
    const ended = writeConfig(
      folder,
      '--conf-dir',
      join(folder, 'etc'),
      '--directory',
      join(folder, 'store'),
      '--yes',
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('root did not carry out the plan');
  });

  it('in a folder of one’s own needs no root, and writes no units', () => {
    const folder = withSudo(1);
    const own = join(folder, 'said');
    const ended = writeConfig(folder, '--conf-dir', join(own, 'etc'), '--directory', join(own, 'store'));
    expect(ended).toMatchObject({ status: 0 });
    expect(readdirSync(join(own, 'etc')).sort()).toEqual(['conf', 'pickers.d', 'snapshots.d']);
    expect(readdirSync(folder).sort()).toEqual(['bin', 'said']);
    expect(existsSync(join(own, 'plan'))).toBe(false);
  });
});

describe('create-resources --dry-run', () => {
  it('prints the template and the parameters, and sends nothing', async () => {
    const ended = await run(['create-resources', '--dry-run', '--bucket-name', 'my-backups'], {
      env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('AWSTemplateFormatVersion');
    expect(ended.stdout).toContain('#   BucketName: my-backups\n');
    const refused = await run(['create-resources', '--dry-run', '--package-name', 'my backups']);
    expect(refused.code).toBe(2);
  });
});
