import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { askUpstream, collectBody } from './ask-upstream.js';
import { LoopbackProxy } from './loopback-proxy.js';

/** An answer that the proxy makes up. */
interface MadeUp {
  status: number;
  type?: string;
  body?: string;
  headers?: OutgoingHttpHeaders;
}

const error = (status: number, code: string, headers: OutgoingHttpHeaders = {}): MadeUp => ({
  status,
  headers,
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>made up \u001b[31m</Message></Error>`,
});

const FUTURE = 'Mon, 01 Jan 2035 00:00:00 GMT';

/** Modes in which the server is not asked, and what is said in its place. */
const MADE_UP = {
  garbage: { status: 200, body: '<?xml version="1.0"?><Lis<<>>&&\0\xff' },
  html: {
    status: 200,
    type: 'text/html',
    body: '<!DOCTYPE html><html><body>Log in to the wifi</body></html>',
  },
  empty: { status: 200, body: '' },
  'empty-to-put': { status: 200, body: '' },
  redirect: error(307, 'TemporaryRedirect', { location: 'http://127.0.0.1:9/' }),
  moved: error(301, 'PermanentRedirect', { location: 'http://127.0.0.1:9/' }),
  denied: error(403, 'AccessDenied'),
  'slow-down': error(503, 'SlowDown'),
  'internal-error': error(500, 'InternalError'),
  'slow-down-a-day': error(503, 'SlowDown', { 'retry-after': '86400' }),
  expired: error(400, 'ExpiredToken'),
  skewed: error(403, 'RequestTimeTooSkewed', { date: FUTURE }),
} satisfies Record<string, MadeUp>;

/** Modes in which a request is not answered as HTTP is. */
type Broken =
  | 'stall'
  | 'stall-headers'
  | 'half-headers'
  | 'drip'
  | 'endless-headers'
  | 'endless-xml'
  | 'reset';
/** Modes in which the server is asked, and its answer changed. */
type Changed = 'cut-body' | 'stall-body' | 'flip' | 'lose-answer' | 'no-version';
export type Lie = keyof typeof MADE_UP | Broken | Changed;

export const LIES: readonly Lie[] = [
  ...(Object.keys(MADE_UP) as (keyof typeof MADE_UP)[]),
  ...(['stall', 'stall-headers', 'half-headers', 'drip', 'endless-headers', 'endless-xml', 'reset'] as const),
  ...(['cut-body', 'stall-body', 'flip', 'lose-answer', 'no-version'] as const),
];

/** Lies that are told to these requests alone. */
const METHOD: Partial<Record<Lie, string>> = {
  'empty-to-put': 'PUT',
  'lose-answer': 'PUT',
  'no-version': 'PUT',
  'cut-body': 'GET',
  'stall-body': 'GET',
  flip: 'GET',
};

export interface ProxiedRequest {
  method: string;
  url: string;
}

export interface LyingOptions {
  /** Default: none. Some are told to requests of one method alone. */
  lie?: Lie | undefined | ((request: ProxiedRequest) => Lie | undefined);
  /** Only to the first of these requests, and what is made up then is dated 2035. Default: to all. */
  once?: boolean;
  /** Milliseconds between the bytes that drip. Default 300. */
  dripMs?: number;
  /** Every ETag is another one of 32 hex digits, which is no MD5 of the bytes, in all answers alike. */
  opaqueEtags?: boolean;
}

/** An HTTP proxy on loopback before an S3 server that does what no S3 server does. */
export class LyingProxy extends LoopbackProxy {
  /** Method and URL of each, as they came. */
  readonly requests: ProxiedRequest[] = [];
  options: LyingOptions;
  readonly #stopped = new AbortController();
  #lies = 0;

  private constructor(target: string, options: LyingOptions) {
    super(target);
    this.options = options;
  }

  static async start(target: string, options: LyingOptions): Promise<LyingProxy> {
    const proxy = new LyingProxy(target, options);
    await proxy.listen();
    return proxy;
  }

  override async stop(): Promise<void> {
    this.#stopped.abort();
    await super.stop();
  }

  protected override async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', socket } = request;
    this.requests.push({ method, url });
    const lie = this.#lieTo({ method, url });
    if (lie === 'stall') return;
    if (lie === 'reset') {
      socket.resetAndDestroy();
      return;
    }
    const body = await collectBody(request);
    response.sendDate = false;
    if (lie !== undefined && lie in MADE_UP) {
      const {
        status,
        type = 'application/xml',
        body: text = '',
        headers = {},
      } = MADE_UP[lie as keyof typeof MADE_UP] as MadeUp;
      const date = this.options.once === true ? { date: FUTURE } : {};
      response.writeHead(status, { 'content-type': type, ...date, ...headers });
      response.end(method === 'HEAD' ? undefined : text);
      return;
    }
    if (await this.#breaks(lie, socket)) return;
    const answer = await askUpstream(this.target, request, body);
    await this.#pass(answer, response, lie, url);
  }

  #lieTo(request: ProxiedRequest): Lie | undefined {
    const { once: onlyOne = false } = this.options;
    const lie = typeof this.options.lie === 'function' ? this.options.lie(request) : this.options.lie;
    if (lie === undefined) return undefined;
    if (METHOD[lie] !== undefined && METHOD[lie] !== request.method) return undefined;
    this.#lies++;
    return onlyOne && this.#lies > 1 ? undefined : lie;
  }

  /** Whether that was all that is said. */
  async #breaks(lie: Lie | undefined, socket: Socket): Promise<boolean> {
    switch (lie) {
      case 'stall-headers':
        return true;
      case 'half-headers':
        socket.write('HTTP/1.1 200 OK\r\nContent-Le');
        return true;
      case 'drip':
        for (const byte of 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
          await this.#write(socket, byte, this.options.dripMs ?? 300);
        await this.#pour(socket, 'x', this.options.dripMs ?? 300);
        return true;
      case 'endless-headers':
        socket.write('HTTP/1.1 200 OK\r\n');
        await this.#pour(socket, `X-Header: ${'y'.repeat(8000)}\r\n`, 0);
        return true;
      case 'endless-xml': {
        const rows = '<Version><Key>content/aa</Key><VersionId>v</VersionId></Version>'.repeat(20_000);
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<?xml version="1.0"?><ListVersionsResult>',
        );
        await this.#pour(socket, rows, 0);
        return true;
      }
      default:
        return false;
    }
  }

  async #pour(socket: Socket, text: string, everyMs: number): Promise<void> {
    while (!socket.destroyed && !this.#stopped.signal.aborted) await this.#write(socket, text, everyMs);
  }

  async #write(socket: Socket, text: string, thenMs: number): Promise<void> {
    if (socket.destroyed) return;
    if (!socket.write(text)) await flowsOrEnds(socket);
    if (thenMs > 0) await wait(thenMs, undefined, { signal: this.#stopped.signal });
  }

  async #pass(
    answer: IncomingMessage,
    response: ServerResponse,
    lie: Lie | undefined,
    url: string,
  ): Promise<void> {
    let bytes = await collectBody(answer);
    const headers = { ...answer.headers };
    if (lie === 'lose-answer') {
      response.socket?.resetAndDestroy();
      return;
    }
    if (lie === 'no-version') delete headers['x-amz-version-id'];
    if (this.options.opaqueEtags === true) {
      if (headers.etag !== undefined) headers.etag = headers.etag.replace(HEX, opaque);
      if (bytes.includes('<ListVersionsResult'))
        bytes = Buffer.from(bytes.toString('latin1').replaceAll(LISTED_ETAG, opaqueIn), 'latin1');
    }
    if (lie === 'flip' && bytes.length > 10 && !url.includes('versions'))
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    response.writeHead(answer.statusCode ?? 502, headers);
    if ((lie === 'cut-body' || lie === 'stall-body') && bytes.length > 10) {
      response.write(bytes.subarray(0, bytes.length >> 1), () => {
        if (lie === 'cut-body') response.socket?.resetAndDestroy();
      });
      return;
    }
    response.end(bytes);
  }
}

async function flowsOrEnds(socket: Socket): Promise<void> {
  const either = new AbortController();
  const { signal } = either;
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })]);
  either.abort();
}

const HEX = /[0-9a-f]{32}/;
const LISTED_ETAG = /<ETag>[^<]*<\/ETag>/g;

function opaque(etag: string): string {
  return createHash('md5').update(`not ${etag}`).digest('hex');
}

function opaqueIn(element: string): string {
  return element.replace(HEX, opaque);
}
