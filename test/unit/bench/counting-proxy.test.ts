import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountingProxy } from '../../../bench/proxy/counting-proxy.js';

describe('CountingProxy', () => {
  let server: Server;
  let proxy: CountingProxy;

  beforeEach(async () => {
    server = createServer(async (request, response) => {
      const body = await text(request);
      response.writeHead(request.method === 'DELETE' ? 204 : 200, { 'x-host': request.headers.host });
      response.end(request.method === 'GET' ? `${body}answer` : '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await CountingProxy.start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  afterEach(async () => {
    await proxy.stop();
    server.close();
  });

  it('passes on and counts requests by kind and bytes of bodies', async () => {
    const put = await fetch(`${proxy.endpoint}/bucket/key`, { method: 'PUT', body: 'x'.repeat(200_000) });
    expect(put.status).toBe(200);
    expect(await (await fetch(`${proxy.endpoint}/bucket/key`)).text()).toBe('answer');
    await fetch(`${proxy.endpoint}/bucket/key`);
    await fetch(`${proxy.endpoint}/bucket/key`, { method: 'DELETE' });
    expect(proxy.take()).toEqual({ requests: { put: 1, get: 2, delete: 1 }, sent: 200_000, received: 12 });
    expect(proxy.take()).toEqual({ requests: {}, sent: 0, received: 0 });
  });

  it('leaves the Host header as the client signed it', async () => {
    const { headers } = await fetch(`${proxy.endpoint}/bucket?versions`);
    expect(`http://${headers.get('x-host')}`).toBe(proxy.endpoint);
  });

  it('breaks the connection where the server does, and goes on', async () => {
    server.closeAllConnections();
    server.close();
    await expect(fetch(`${proxy.endpoint}/bucket/key`)).rejects.toThrow();
    expect(proxy.take().requests).toEqual({ get: 1 });
  });
});
