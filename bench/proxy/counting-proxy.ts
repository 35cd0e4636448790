import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { kindOf, type SeenKind } from './request-kind.js';

export interface Traffic {
  requests: Partial<Record<SeenKind, number>>;
  /** Bytes of the bodies of all requests, and of all answers. */
  sent: number;
  received: number;
}

/** An HTTP proxy on loopback that passes everything on to one S3 server and counts it. */
export class CountingProxy {
  #traffic: Traffic = { requests: {}, sent: 0, received: 0 };
  readonly #target: URL;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => {
      this.#pass(request, response).catch(() => request.socket.destroy());
    });
    // Of a server that is slow with large bodies the patience is the client's own.
    this.#server.requestTimeout = 0;
  }

  static async start(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What came since the last call. */
  take(): Traffic {
    const taken = this.#traffic;
    this.#traffic = { requests: {}, sent: 0, received: 0 };
    return taken;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
    await once(this.#server, 'close');
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/', headers } = request;
    const { requests } = this.#traffic;
    const kind = kindOf(method, url, headers);
    requests[kind] = (requests[kind] ?? 0) + 1;
    request.on('data', (chunk: Buffer) => {
      this.#traffic.sent += chunk.length;
    });
    // The Host header stays as the client signed it.
    const passedOn = forward({
      agent: this.#agent,
      host: this.#target.hostname,
      port: this.#target.port,
      method,
      path: url,
      headers,
    });
    const answered = once(passedOn, 'response') as Promise<[IncomingMessage]>;
    const [[answer]] = await Promise.all([answered, pipeline(request, passedOn)]);
    answer.on('data', (chunk: Buffer) => {
      this.#traffic.received += chunk.length;
    });
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    await pipeline(answer, response);
  }
}
