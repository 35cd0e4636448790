import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram, versionOf } from '../contenders/version.js';
import type { S3Server, ServerKind } from './server.js';

const run = promisify(execFile);

export const HOW_TO_GET: Record<ServerKind, string> = {
  ceph: 'test/servers/ceph.sh install (Debian or Ubuntu, as root)',
  versitygw: 'go install github.com/versity/versitygw/cmd/versitygw@latest',
};

export function isThere(kind: ServerKind): boolean {
  return findProgram(kind === 'ceph' ? 'radosgw' : 'versitygw') !== undefined;
}

/** Starts an empty server whose data lie in `folder` (Ceph's in memory, 8 GiB at most). */
export async function startServer(kind: ServerKind, folder: string): Promise<S3Server> {
  if (!isThere(kind)) throw new Error(`${kind} is not here. To get it: ${HOW_TO_GET[kind]}`);
  return kind === 'ceph' ? startCeph(join(folder, 'ceph')) : startVersity(folder);
}

/** By the script of the tests, which says what it does. */
async function startCeph(folder: string): Promise<S3Server> {
  const script = join(import.meta.dirname, '..', '..', '..', 'test', 'servers', 'ceph.sh');
  const port = await freePort();
  const env = {
    ...process.env,
    CEPH_DIR: folder,
    CEPH_PORT: String(port),
    CEPH_MON_PORT: String(await freePort()),
  };
  const stop = endedWithUs(() => execFileSync(script, ['down'], { env }));
  let variables: Record<string, string>;
  try {
    const { stdout } = await run(script, ['up'], { env });
    variables = Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
  } catch (error) {
    stop();
    throw error;
  }
  return {
    version: versionOf('radosgw', '--version'),
    access: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      accessKeyId: variables['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: variables['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
    stop: async () => stop(),
  };
}

async function startVersity(folder: string): Promise<S3Server> {
  const [data, versions] = [join(folder, 'data'), join(folder, 'versions')];
  for (const path of [data, versions]) mkdirSync(path, { recursive: true });
  const port = await freePort();
  const options = ['--port', `127.0.0.1:${port}`, '--access', 'bench', '--secret', 'bench-secret', '--quiet'];
  const server = spawn(
    'versitygw',
    [...options, '--keep-alive', 'posix', '--versioning-dir', versions, data],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const ended = once(server, 'close');
  const stop = endedWithUs(() => server.kill('SIGKILL')); // Its data are thrown away.
  await answers(port, ended);
  return {
    version: `versitygw ${/: *(\S+)/.exec(versionOf('versitygw', '--version'))?.[1] ?? ''}`,
    access: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      accessKeyId: 'bench',
      secretAccessKey: 'bench-secret',
    },
    stop: async () => {
      stop();
      await ended;
    },
  };
}

/** What ends a server, done at the latest when this process is ended. */
function endedWithUs(end: () => unknown): () => void {
  const stop = (): void => {
    process.off('exit', stop);
    end();
  };
  process.prependOnceListener('exit', stop);
  return stop;
}

/** Until something listens there, or the server has ended. */
async function answers(port: number, ended: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  ended.then(
    () => {
      hasEnded = true;
    },
    () => {},
  );
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
    socket.destroy();
    if (isUp === true) return;
    if (hasEnded) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the S3 server did not come up');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
