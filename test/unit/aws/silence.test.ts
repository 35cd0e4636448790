import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const BUILT = pathToFileURL(join(import.meta.dirname, '../../../dist/src/index.js')).href;

/** What a program that uses the library in each way that makes a client of the SDK's says, and changes. */
const PROGRAM = `
import { createResources, openDestination } from '${BUILT}';
const before = JSON.stringify(process.env);
const { env } = process;
const [url, credentialsFile] = process.argv.slice(2);
const failed = [];
const attempt = async (work) => await work().catch((error) => failed.push(error.code));
const s3 = {
  bucket: 'some-bucket', endpointUrl: url, region: 'eu-1', prefix: '', forcePathStyle: true,
  requireObjectLock: true, cloudFormation: { export: 'x' },
};
const arn = 'arn:aws:iam::123456789012:role/x';
for (const aws of [{}, { profile: 'spare' }, { credentialsFile }, { credentialsFile, roleArn: arn }])
  await attempt(async () => {
    const { store } = await openDestination({ kind: 's3', s3: { ...s3, aws } }, { env, userAtHost: 'me@here' });
    await store.capabilities().finally(() => store.close());
  });
await attempt(() => openDestination({ kind: 's3', s3: { ...s3, bucket: undefined, aws: {} } }, { env, userAtHost: 'me@here' }));
await attempt(() => createResources({
  access: { region: 'eu-1', endpointUrl: url, env, userAtHost: 'me@here' }, stackName: undefined,
  parameters: {}, onEvent: undefined, signal: undefined,
}));
console.log(JSON.stringify({ failed, same: JSON.stringify(process.env) === before }));
`;

describe('the library', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((_, response) => response.writeHead(403).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  it('prints nothing, whatever Node.js it runs on and whatever the environment holds, which it leaves as it is', async () => {
    const folder = temporaryFolder();
    const program = join(folder, 'program.mjs');
    const credentials = join(folder, 'credentials');
    writeFileSync(program, PROGRAM);
    const key = 'aws_access_key_id = AKIA\naws_secret_access_key = secret\n';
    writeFileSync(credentials, `[default]\n${key}[spare]\n${key}`);
    const { port } = server.address() as AddressInfo;
    const { PATH = '' } = process.env;
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [program, `http://127.0.0.1:${port}`, credentials],
      {
        // Both at once is something that the SDK has an opinion about.
        env: {
          PATH,
          HOME: folder,
          AWS_SHARED_CREDENTIALS_FILE: credentials,
          AWS_PROFILE: 'spare',
          AWS_ACCESS_KEY_ID: 'AKIA',
          AWS_SECRET_ACCESS_KEY: 'secret',
        },
      },
    );
    const said = JSON.parse(stdout) as { failed: string[]; same: boolean };
    expect(said.failed).toHaveLength(6);
    expect(said.same).toBe(true);
    expect(stderr).toBe('');
  });
});
