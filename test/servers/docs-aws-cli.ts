/**
 * Amazon's `aws`, of the PATH where there is one, else installed once from PyPI into a Python virtual environment
 * in `S3_SYSBACKUP_AWSCLI` or below the temporary folder.
 */
import { execFile } from 'node:child_process';
import { access, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const VENV = process.env['S3_SYSBACKUP_AWSCLI'] ?? join(tmpdir(), 's3-sysbackup-awscli');
const INSTALL_MS = 300_000;

/** A folder for the PATH in which there is an `aws`; undefined where the PATH has one. */
export async function folderOfAws(): Promise<string | undefined> {
  if (await succeeds('aws', ['--version'])) return undefined;
  const folder = join(VENV, 'bin');
  if (!(await exists(join(folder, 'aws')))) await install();
  return folder;
}

/** Made under its final name, since scripts in it name the folder that they were made in. */
async function install(): Promise<void> {
  const half = `${VENV}.half-made`;
  await rm(half, { recursive: true, force: true });
  await rename(VENV, half).catch(() => undefined);
  await run('python3', ['-m', 'venv', VENV], { timeout: INSTALL_MS });
  const packages = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'awscli>=1.32,<2'];
  await run(join(VENV, 'bin', 'python'), packages, { timeout: INSTALL_MS });
  await rm(half, { recursive: true, force: true });
}

async function succeeds(program: string, args: string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
