import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Machine, run } from './command.js';
import { atTerminal, hasScript } from './terminal.js';

const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function machineWith(port: number): Machine {
  const machine = new Machine();
  machine.writeConf(
    `[s3]\nbucket = none\nregion = us-east-1\nendpoint_url = http://127.0.0.1:${port}\n[state]\npath = ../state\n`,
  );
  machine.pickData();
  return machine;
}

describe.skipIf(!hasScript)('an endpoint that is not there, at a terminal (needs script)', () => {
  it.each([
    ['archive', []],
    ['check-config', ['--connect']],
  ])('%s: tried twice, and the code is 1', async (command, more) => {
    const { confDir } = machineWith(await closedPort());
    const debug = ['--log-level', 'debug'];
    const { code, screen } = await atTerminal([command, '--conf-dir', confDir, ...debug, ...more], {
      env: KEYS,
    });
    expect({ code, screen }).toMatchObject({ code: 1, screen: expect.stringContaining('no answer from') });
    expect(screen.match(/trying again/g)).toHaveLength(1);
  });
});

it('without a terminal it is tried on', async () => {
  const { confDir } = machineWith(await closedPort());
  const args = ['archive', '--conf-dir', confDir, '--log-level', 'debug', '--max-requests', '4'];
  const { code, stderr } = await run(args, { env: KEYS });
  expect(code).toBe(1);
  expect(stderr.match(/trying again/g)).toHaveLength(4);
});
