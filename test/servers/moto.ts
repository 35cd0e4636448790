/**
 * A moto server (https://docs.getmoto.org): S3, STS, IAM and CloudFormation in one process, on a loopback port.
 * It is installed once, into a Python virtual environment in `S3_SYSBACKUP_MOTO` or below the temporary folder.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const FOLDER = process.env['S3_SYSBACKUP_MOTO'] ?? join(tmpdir(), 's3-sysbackup-moto');
/** Its own folder for each list of packages: a changed list is installed anew. */
const VENV = join(FOLDER, 'moto5');
const PACKAGES = ['moto[server,s3,sts,iam,cloudformation]>=5,<6', 'boto3'];

/** pip and the server answer within this, or never. */
const INSTALL_MS = 300_000;
const START_MS = 60_000;

export interface Moto {
  url: string;
  /** Forgets all buckets, roles and stacks. */
  reset(): Promise<void>;
  /** After so many more requests, IAM policies are enforced; undefined: never. */
  enforceIamAfter(requests: number | undefined): Promise<void>;
  stop(): Promise<void>;
}

async function install(): Promise<void> {
  const program = join(VENV, 'bin', 'moto_server');
  if (
    await access(program).then(
      () => true,
      () => false,
    )
  )
    return;
  await mkdir(FOLDER, { recursive: true });
  // A half-made environment must not be taken for a whole one, so a whole one gets its name last.
  const started = join(FOLDER, `making-${process.pid}`);
  await rm(started, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', started], { timeout: INSTALL_MS });
  const packages = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES];
  await run(join(started, 'bin', 'python'), packages, { timeout: INSTALL_MS });
  await rename(started, VENV).catch(async (error: unknown) => {
    await rm(started, { recursive: true });
    await access(program).catch(() => {
      throw error;
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Resolves when the server says that it listens. */
async function ready(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  if (child.stderr === null) throw new Error('moto_server has no standard error');
  const lines = createInterface({ input: child.stderr });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const line of lines) {
      if (line.includes('Running on http')) return;
      said.push(line);
    }
  } finally {
    clearTimeout(timer);
    // What it writes from now on, a line per request, must not fill the pipe.
    child.stderr.resume();
  }
  throw new Error(`moto_server ended before it listened: ${said.slice(-5).join('; ')}`);
}

/** As moto itself, and with what our template needs of CloudFormation, IAM and Object Lock: see that file's head. */
export const WITH_LOCKS = fileURLToPath(new URL('moto_with_locks.py', import.meta.url));

/** What cfn-lint, on which moto stands, finds in a template. Empty where all is well. */
export async function lintTemplate(path: string): Promise<string> {
  await install();
  return await new Promise((resolve, reject) => {
    execFile(
      join(VENV, 'bin', 'python'),
      ['-c', 'import sys; from cfnlint.runner import main; sys.exit(main())', '--template', path],
      (error, stdout, stderr) => {
        if (error !== null && stdout === '') reject(error);
        else resolve(stdout + stderr);
      },
    );
  });
}

/**
 * Installs moto where it is missing, and starts it.
 *
 * @param script A server made of moto, in Python. Default: moto's own.
 */
export async function startMoto(script?: string): Promise<Moto> {
  // Not the script beside it: its first line names the folder that it was made in.
  await install();
  const port = await freePort();
  const child = spawn(
    join(VENV, 'bin', 'python'),
    [...(script === undefined ? ['-m', 'moto.server'] : [script]), '-H', '127.0.0.1', '-p', String(port)],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const ended = once(child, 'exit');
  ended.catch(() => undefined);
  const url = `http://127.0.0.1:${port}`;
  const killWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killWithUs);
  await ready(child);
  const post = async (path: string, body?: string): Promise<void> => {
    const answer = await fetch(url + path, { method: 'POST', ...(body === undefined ? {} : { body }) });
    if (!answer.ok) throw new Error(`moto answered ${answer.status} to ${path}`);
  };
  return {
    url,
    reset: () => post('/moto-api/reset'),
    enforceIamAfter: (requests) => post('/moto-api/reset-auth', String(requests ?? 'inf')),
    stop: async () => {
      process.off('exit', killWithUs);
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** As {@link startMoto}; undefined, said loudly, where it cannot be had and `CI` is not set. */
export async function startMotoOrSkip(script?: string): Promise<Moto | undefined> {
  try {
    return await startMoto(script);
  } catch (error) {
    if (process.env['CI']) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `\n*** SKIPPED: no moto server here, so nothing is tested against it: ${reason} ***\n\n`,
    );
    return undefined;
  }
}
