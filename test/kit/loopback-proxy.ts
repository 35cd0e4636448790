import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on a free port of loopback, which stands before another one. */
export abstract class LoopbackProxy {
  protected readonly target: URL;
  readonly #server: Server;

  constructor(target: string) {
    this.target = new URL(target);
    this.#server = createServer((request, response) => {
      const { socket } = request;
      this.handle(request, response).catch(() => socket.destroy());
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  protected async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** What it throws ends the connection. */
  protected abstract handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}
