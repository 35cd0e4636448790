import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { askUpstream, collectBody } from './ask-upstream.js';
import { LoopbackProxy } from './loopback-proxy.js';

/**
 * What happens to a request. `reset`: the connection breaks before anything is passed on. `reset-midway`: after half
 * of the request's body. `lose-answer`: the server did it, the answer never comes. `cut-answer`: half of it comes.
 * `stall`: nothing comes, the connection stays open. `stall-answer`: the same after half of the answer. `damage`:
 * the last byte of the request's body is changed. `slow`: the answer comes in small pieces. A number: this HTTP
 * status, with S3's error for it; `page`: a gateway's error page with status 502.
 */
export type ProxyFault =
  | 'reset'
  | 'reset-midway'
  | 'lose-answer'
  | 'cut-answer'
  | 'stall'
  | 'stall-answer'
  | 'damage'
  | 'slow'
  | 'page'
  | 429
  | 500
  | 503;

export interface ProxiedRequest {
  /** From 1. */
  count: number;
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  /** Of the body as it came, in base64; undefined where it did not come whole. */
  md5?: string;
  /** The fields of a body that is a form, as STS and CloudFormation take them. */
  form?: URLSearchParams;
}

const S3_CODES = { 429: 'TooManyRequests', 500: 'InternalError', 503: 'SlowDown' };

/** An HTTP proxy on loopback that passes requests on to one server, except for what `decide` says. */
export class FlakyProxy extends LoopbackProxy {
  readonly requests: ProxiedRequest[] = [];
  readonly #decide: (request: ProxiedRequest) => ProxyFault | undefined;

  private constructor(target: string, decide: (request: ProxiedRequest) => ProxyFault | undefined) {
    super(target);
    this.#decide = decide;
  }

  static async start(
    target: string,
    decide: (request: ProxiedRequest) => ProxyFault | undefined,
  ): Promise<FlakyProxy> {
    const proxy = new FlakyProxy(target, decide);
    await proxy.listen();
    return proxy;
  }

  protected override async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen: ProxiedRequest = { count: this.requests.length + 1, method, url, headers };
    this.requests.push(seen);
    const fault = this.#decide(seen);
    const { socket } = request;
    if (fault === 'reset') {
      socket.resetAndDestroy();
      return;
    }
    if (fault === 'stall') return;
    if (fault === 'reset-midway') {
      const half = Number(request.headers['content-length'] ?? 0) / 2;
      let length = 0;
      for await (const chunk of request) {
        length += (chunk as Buffer).length;
        if (length >= half) break;
      }
      socket.resetAndDestroy();
      return;
    }
    const body = await collectBody(request);
    seen.md5 = createHash('md5').update(body).digest('base64');
    if (headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true)
      seen.form = new URLSearchParams(body.toString());
    if (typeof fault === 'number' || fault === 'page') {
      refuse(response, fault);
      return;
    }
    if (fault === 'damage' && body.length > 0)
      body.writeUInt8(body.readUInt8(body.length - 1) ^ 1, body.length - 1);
    const answer = await askUpstream(this.target, request, body);
    if (fault === 'lose-answer') {
      answer.resume();
      await once(answer, 'end');
      socket.resetAndDestroy();
      return;
    }
    await this.#answer(answer, response, fault);
  }

  async #answer(
    answer: IncomingMessage,
    response: ServerResponse,
    fault: ProxyFault | undefined,
  ): Promise<void> {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    const bytes = await collectBody(answer);
    if (fault === 'cut-answer' || fault === 'stall-answer') {
      response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => {
        if (fault === 'cut-answer') response.socket?.resetAndDestroy();
      });
      return;
    }
    if (fault === 'slow')
      for (let start = 0; start < bytes.length; start += 20_000) {
        response.write(bytes.subarray(start, start + 20_000));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    else response.write(bytes);
    response.end();
  }
}

function refuse(response: ServerResponse, fault: 'page' | 429 | 500 | 503): void {
  if (fault === 'page') {
    response.writeHead(502, { 'content-type': 'text/html' });
    response.end('<html><body><h1>Bad gateway</h1><br></body></html>');
    return;
  }
  response.writeHead(fault, { 'content-type': 'application/xml', date: new Date().toUTCString() });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${S3_CODES[fault]}</Code><Message>asked for</Message></Error>`,
  );
}
