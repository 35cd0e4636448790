import type { S3Client } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { NotS3Answer } from './not-s3-answer.js';
import { xmlRoot } from './xml-root.js';

/** Bytes of an answer that is not an object: 1,000 keys of 1,024 bytes, each of them escaped, take about 4 MiB. */
const LONGEST = 16 * 2 ** 20;

/** What is known of an answer beside what the SDK makes of it. */
export interface SeenAnswer {
  /** Of its `Date` header, milliseconds since the epoch, and when it came by `performance.now`. */
  date: { time: number; at: number } | undefined;
  /** It has a body where S3 sends none, and that is no XML. */
  isPage: boolean;
  /** It has one of the headers by which S3 signs its answers (`x-amz-request-id` and others). */
  isSigned: boolean;
}

/** The root elements of the answers that say something: Amazon's, and what some servers call the same. */
const ROOTS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  ListObjectVersionsCommand: ['ListVersionsResult', 'ListObjectVersionsResult'],
  GetObjectLockConfigurationCommand: ['ObjectLockConfiguration'],
  GetObjectRetentionCommand: ['Retention', 'ObjectLockRetention'],
};
const OF_OBJECTS: ReadonlySet<string> = new Set(['GetObjectCommand', 'HeadObjectCommand']);

/** The parts of the SDK's raw response that are used. */
interface RawResponse {
  statusCode: number;
  headers: Record<string, string>;
  body?: unknown;
}

interface ObjectInput {
  VersionId?: string;
  Range?: string;
}

/**
 * Looks at each answer before the SDK makes sense of it, which takes any XML for the one that it expects, and a page
 * for an answer in which nothing stands. Reads what is not an object to its end. Throws
 * {@link NotS3Answer}.
 *
 * The SDK signs by the `Date` of the last answer that it gets to see. It sees that of answers that are understood, and
 * of refusals that may be for the time of the signature.
 */
export class S3Answers {
  readonly #seen = new WeakMap<object, SeenAnswer>();
  #hasAnswered = false;

  constructor(client: S3Client) {
    client.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          const result = await next(args);
          await this.#look(result.response as RawResponse, commandName, args.input as ObjectInput);
          return result;
        },
      // Next to the transport.
      { step: 'deserialize', priority: 'low' },
    );
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const seen = this.#seen.get(result.response as object);
        if (seen !== undefined) this.#seen.set(result.output, seen);
        return result;
      },
      { step: 'initialize', priority: 'high' },
    );
  }

  /** Whether the store has ever answered: done something, or refused in S3's own words. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** What was seen of the answer that the SDK made this output of. */
  of(output: object): SeenAnswer | undefined {
    return this.#seen.get(output);
  }

  /** The time that it is now by an answer's `Date`. */
  timeOf(output: object): number | undefined {
    const date = this.#seen.get(output)?.date;
    return date === undefined ? undefined : date.time + performance.now() - date.at;
  }

  async #look(response: RawResponse, command: string, input: ObjectInput): Promise<void> {
    const { statusCode, headers } = response;
    const isRefusal = statusCode >= 300;
    if (!isRefusal && OF_OBJECTS.has(command)) {
      const missing = whatObjectLacks(response, input);
      if (missing !== undefined) {
        destroy(response.body);
        throw new NotS3Answer(missing);
      }
      this.#hasAnswered = true;
      return;
    }
    const date = { time: Date.parse(headers['date'] ?? ''), at: performance.now() };
    const body = await collect(response.body);
    response.body = body;
    const root = xmlRoot(body);
    const isEmpty = body.length === 0;
    if (isRefusal) {
      const isS3 = isEmpty || root === 'Error';
      // "It is not there" is believed of the store only.
      if (!isS3 && (statusCode === 404 || statusCode === 405)) throw pageOf(headers);
      this.#hasAnswered ||= isS3;
      if (!isS3 || (statusCode !== 400 && statusCode !== 403)) delete headers['date'];
      return;
    }
    const expected = ROOTS[command];
    if (expected !== undefined && !expected.some((name) => name === root))
      throw notThat(expected[0], root, isEmpty, headers);
    const isPage = expected === undefined && !isEmpty && !isXml(root);
    if (isPage && command !== 'PutObjectCommand') throw pageOf(headers);
    // A PUT without an ETag is nothing that S3 answers.
    const isUnderstood = !isPage && (command !== 'PutObjectCommand' || headers['etag'] !== undefined);
    if (isUnderstood) this.#hasAnswered = true;
    else delete headers['date'];
    this.#seen.set(response, {
      date: Number.isNaN(date.time) ? undefined : date,
      isPage,
      isSigned: Object.keys(headers).some((name) => name.startsWith('x-amz-')),
    });
  }
}

/** Why an answer cannot be the one to the question for an object; undefined where it can. */
function whatObjectLacks({ statusCode, headers }: RawResponse, input: ObjectInput): string | undefined {
  if (headers['etag'] === undefined) return 'it has no ETag';
  const version = headers['x-amz-version-id'];
  if (version !== undefined && input.VersionId !== undefined && version !== input.VersionId)
    return 'it is of another version';
  const start = /^bytes=(\d+)-/.exec(input.Range ?? '')?.[1] ?? '0';
  const range = headers['content-range'];
  const begins = statusCode === 206 && range !== undefined ? /^bytes (\d+)-/.exec(range)?.[1] : undefined;
  return start === '0' || begins === start ? undefined : 'it is of other bytes than were asked for';
}

function isXml(root: string | undefined): boolean {
  return root !== undefined && root !== 'Error' && root.toLowerCase() !== 'html';
}

function notThat(
  expected: string,
  root: string | undefined,
  isEmpty: boolean,
  headers: Record<string, string>,
): NotS3Answer {
  if (isEmpty) return new NotS3Answer('it is empty');
  return isXml(root) ? new NotS3Answer(`it is <${root}> instead of <${expected}>`) : pageOf(headers);
}

function pageOf(headers: Record<string, string>): NotS3Answer {
  const type = headers['content-type']?.replace(/;.*/s, '');
  return new NotS3Answer(`it is a page${type === undefined ? '' : ` (${type})`}`);
}

async function collect(body: unknown): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Buffer[] = [];
  let size = 0;
  if (body === undefined) return Buffer.alloc(0);
  for await (const chunk of body as Readable) {
    size += (chunk as Buffer).length;
    if (size > LONGEST) throw new NotS3Answer(`it is longer than ${LONGEST} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function destroy(body: unknown): void {
  if (typeof body === 'object' && body !== null && 'destroy' in body && typeof body.destroy === 'function')
    body.destroy();
}
