import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';
import { run } from './command.js';

const ARN = 'arn:aws:iam::123456789012:role/x-restore';
const MACHINE = 'AKIAMACHINE';
const READER = 'AKIAREADER';
const PERSON = 'AKIAPERSON';

/** An S3 server that refuses everything, and notes by whose key each request was signed, and what it asked for. */
async function refusingServer() {
  const signers = new Set<string>();
  const actions = new Set<string>();
  const server = createServer((request, response) => {
    const key = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1] ?? 'nobody';
    signers.add(key);
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      for (const [, action = ''] of body.matchAll(/Action=(\w+)/g)) actions.add(action);
      response.writeHead(403, { 'content-type': 'application/xml' });
      const error = '<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>';
      response.end(body.includes('Action=') ? `<ErrorResponse>${error}</ErrorResponse>` : error);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, signers, actions };
}

/** A conf with the machine's own credentials, and a home with a person's. */
async function scene() {
  const folder = temporaryFolder();
  const server = await refusingServer();
  const confDir = join(folder, 'conf.d');
  for (const path of [join(confDir, 'pickers.d'), join(folder, '.aws')]) mkdirSync(path, { recursive: true });
  const section = (name: string, key: string): string =>
    `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = secret\n`;
  const credentials = join(folder, 'machine-credentials');
  writeFileSync(credentials, section('default', MACHINE), { mode: 0o600 });
  writeFileSync(join(folder, '.aws/credentials'), section('reader', READER) + section('default', PERSON));
  writeFileSync(
    join(confDir, 'conf'),
    [
      '[s3]',
      'bucket = my-backups',
      `endpoint_url = ${server.url}`,
      '[aws]',
      `credentials_file = ${credentials}`,
      'role_arn = arn:aws:iam::123456789012:role/machine',
      '[state]',
      `path = ${join(folder, 'state')}`,
      '',
    ].join('\n'),
  );
  const command = async (...args: string[]) => {
    server.signers.clear();
    server.actions.clear();
    const ended = await run([...args, '--conf-dir', confDir], { env: { HOME: folder } });
    return { ...ended, signers: [...server.signers], actions: [...server.actions] };
  };
  return { command, folder };
}

const READING: readonly (readonly string[])[] = [
  ['list'],
  ['ls', 'latest'],
  ['diff', 'latest', 'latest'],
  ['cat', 'latest', '/etc/fstab'],
  ['restore', '--target', '/nonexistent/target'],
  ['verify'],
  ['renew'],
  ['rebuild-catalog'],
];

describe.each(READING)('%s', (...words) => {
  it("reads the conf's store with the rights that the options name", async () => {
    const { command } = await scene();
    const machine = await command(...words);
    expect([machine.code, machine.signers, machine.actions], machine.stderr).toEqual([
      12,
      [MACHINE],
      ['AssumeRole'],
    ]);
    // The machine's file and its role are out of play.
    const profile = await command(...words, '--profile', 'reader');
    expect([profile.code, profile.signers, profile.actions]).toEqual([12, [READER], []]);
    const role = await command(...words, '--role-arn', ARN);
    expect([role.code, role.signers, role.actions]).toEqual([12, [PERSON], ['AssumeRole']]);
    const both = await command(...words, '--profile', 'reader', '--role-arn', ARN);
    expect([both.code, both.signers, both.actions]).toEqual([12, [READER], ['AssumeRole']]);
  });

  it('refuses a profile for a store that is a directory', async () => {
    const { folder } = await scene();
    const confDir = join(folder, 'conf.d');
    writeFileSync(join(confDir, 'conf'), `[directory]\npath = ${folder}\n`);
    const { code, stderr } = await run([...words, '--conf-dir', confDir, '--profile', 'reader'], {
      env: { HOME: folder },
    });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--profile has no meaning for the directory'),
    ]);
  });
});
