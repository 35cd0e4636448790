import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe } from 'vitest';
import { s3ClientDefaults, type S3Timeouts } from '#src/store/s3-client.js';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, 'ceph.sh');

export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

/** A running gateway of Ceph, and its first user, who owns the buckets made here. */
export interface CephServer {
  endpoint: string;
  keys: S3Keys;
  /** A second user, who may do nothing until a bucket's policy says so. */
  addUser(name: string): Promise<S3Keys>;
  /** Makes a bucket with a name of its own. */
  createBucket(options?: { objectLock?: boolean }): Promise<string>;
  /** What a client for this server is made from. */
  clientConfig(options?: { keys?: S3Keys; endpoint?: string; timeouts?: S3Timeouts }): S3ClientConfig;
  stop(): Promise<void>;
}

/** Whether Ceph can be started here. Where the environment says `CI`, it has to be. */
export function isCephInstalled(): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return process.getuid?.() === 0 && folders.some((folder) => existsSync(join(folder, 'radosgw')));
}

/**
 * A suite against Ceph's gateway. Without Ceph it is skipped, loudly, and fails where `CI` is set. `lifecycleDay`:
 * seconds that a day of lifecycle lasts.
 */
export function describeWithCeph(
  name: string,
  options: { lifecycleDay?: number },
  suite: (ceph: () => CephServer) => void,
): void {
  const missing = !isCephInstalled() && process.env['CI'] === undefined;
  if (missing)
    process.stderr.write(`\nSKIPPED: ${name}: no Ceph here (test/servers/ceph.sh install, as root)\n\n`);
  describe.skipIf(missing)(name, () => {
    let server: CephServer | undefined;
    beforeAll(async () => {
      server = await startCeph(options);
    });
    afterAll(async () => {
      await server?.stop();
    });
    suite(() => {
      if (server === undefined) throw new Error('Ceph is there in tests only, not where they are described');
      return server;
    });
  });
}

/**
 * Starts Ceph on free ports. Where `CEPH_DIR` and `CEPH_PORT` are set, what `ceph.sh up` started there is used and
 * left running.
 */
export async function startCeph(options: { lifecycleDay?: number } = {}): Promise<CephServer> {
  const { CEPH_DIR, CEPH_PORT } = process.env;
  if (CEPH_DIR !== undefined && CEPH_PORT !== undefined && options.lifecycleDay === undefined) {
    const env = { ...process.env };
    return serverOf(
      env,
      parseVariables((await run(SCRIPT, ['user', 'test'], { env })).stdout),
      async () => {},
    );
  }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CEPH_DIR: join(tmpdir(), `ceph-${process.pid}-${Date.now()}`),
    CEPH_PORT: String(await freePort()),
    CEPH_MON_PORT: String(await freePort()),
    ...(options.lifecycleDay === undefined ? {} : { CEPH_LC_DAY: String(options.lifecycleDay) }),
  };
  const down = async (): Promise<void> => {
    await run(SCRIPT, ['down'], { env });
  };
  try {
    return serverOf(env, parseVariables((await run(SCRIPT, ['up'], { env })).stdout), down);
  } catch (error) {
    await down();
    throw error;
  }
}

function serverOf(
  env: NodeJS.ProcessEnv,
  first: { endpoint: string; keys: S3Keys },
  stop: () => Promise<void>,
): CephServer {
  const { endpoint, keys } = first;
  let buckets = 0;
  const clientConfig: CephServer['clientConfig'] = (options = {}) => ({
    ...s3ClientDefaults(options.timeouts),
    endpoint: options.endpoint ?? endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: options.keys ?? keys,
  });
  return {
    endpoint,
    keys,
    clientConfig,
    stop,
    addUser: async (name) => parseVariables((await run(SCRIPT, ['user', name], { env })).stdout).keys,
    createBucket: async ({ objectLock = true } = {}) => {
      buckets += 1;
      const Bucket = `b${buckets}-${process.pid}-${Date.now().toString(36)}`;
      const client = new S3Client(clientConfig());
      await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: objectLock }));
      client.destroy();
      return Bucket;
    },
  };
}

function parseVariables(output: string): { endpoint: string; keys: S3Keys } {
  const variables = new Map(
    output.split('\n').map((line): [string, string] => {
      const [name = '', ...value] = line.split('=');
      return [name, value.join('=')];
    }),
  );
  const variable = (name: string): string => {
    const value = variables.get(name);
    if (value === undefined) throw new Error(`ceph.sh printed no ${name}: ${output}`);
    return value;
  };
  return {
    endpoint: variable('AWS_ENDPOINT_URL_S3'),
    keys: {
      accessKeyId: variable('AWS_ACCESS_KEY_ID'),
      secretAccessKey: variable('AWS_SECRET_ACCESS_KEY'),
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
