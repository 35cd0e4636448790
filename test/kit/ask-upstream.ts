import { once } from 'node:events';
import { request as forward, type IncomingMessage } from 'node:http';

/** Passes a request on as it came, with the body given, and resolves with the answer. */
export async function askUpstream(
  target: URL,
  request: IncomingMessage,
  body: Buffer,
): Promise<IncomingMessage> {
  // The Host header stays as the client signed it.
  const passedOn = forward({
    host: target.hostname,
    port: target.port,
    method: request.method,
    path: request.url,
    headers: request.headers,
  });
  passedOn.end(body);
  const [answer] = (await once(passedOn, 'response')) as [IncomingMessage];
  return answer;
}

/** All bytes of a request's or an answer's body. */
export async function collectBody(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
