import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { SysbackupEvent } from '#src/events.js';
import { openStore, type OpenStoreOptions } from '#src/store/open.js';
import { s3ClientDefaults } from '#src/store/s3-client.js';
import { readAll } from './bodies.js';

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Milliseconds between the headers and the body. */
  bodyAfterMs?: number;
}

/** The MD5 of `bytes`. */
export const ETAG = '4b3a6218bb3e3a7303e8a171a60fcf92';
export const SIGNED = { 'x-amz-request-id': 'R' };
export const STORED: Answer = { status: 200, headers: { etag: `"${ETAG}"`, 'x-amz-version-id': 'v' } };
export const PAGE: Answer = {
  status: 200,
  headers: { 'content-type': 'text/html', etag: '"5e-17"' },
  body: '<!DOCTYPE html><html><head></head><body>Log in</body></html>',
};
export const EMPTY_LIST = '<ListVersionsResult/>';
export const LOCKS =
  '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';
export const LOCKED =
  '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2096-10-02T07:06:40Z</RetainUntilDate></Retention>';

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface FakeServer {
  endpoint: string;
  /** What was asked, in order. */
  seen: Seen[];
  stop(): Promise<void>;
}

/**
 * A server that gives the answers in turn, the last one for ever, or what is made of the request; undefined: it never
 * answers. It is stopped when the test ends.
 */
export async function serverOf(
  answers: (Answer | undefined)[] | ((request: Seen) => Answer | undefined),
): Promise<FakeServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void answer(request, response);
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request);
    const { method = '', url = '', headers } = request;
    const asked: Seen = { method, url, headers, body };
    seen.push(asked);
    const next =
      typeof answers === 'function' ? answers(asked) : answers[Math.min(seen.length, answers.length) - 1];
    if (next === undefined) return;
    response.writeHead(next.status, { date: new Date().toUTCString(), ...next.headers });
    if (next.bodyAfterMs !== undefined) {
      response.flushHeaders();
      await wait(next.bodyAfterMs);
    }
    response.end(next.body);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  onTestFinished(stop);
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, stop };
}

/** `idle`: milliseconds after which a silent connection is given up. */
export function configFor(endpoint: string, idle = 300) {
  return {
    ...s3ClientDefaults({ connect: 500, idle }),
    endpoint,
    region: 'eu-west-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  };
}

/** With all that repeats and asks, without pauses. */
export async function openedFor(endpoint: string, options: OpenStoreOptions = {}, idle?: number) {
  const events: SysbackupEvent[] = [];
  const opened = await openStore(
    { kind: 's3', bucket: 'bucket', client: configFor(endpoint, idle) },
    { pause: async () => undefined, listener: (event) => events.push(event), ...options },
  );
  onTestFinished(() => opened.store.close());
  return { ...opened, events };
}

export function refusal(status: number, code: string, message = 'refused'): Answer {
  return { status, body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>` };
}
