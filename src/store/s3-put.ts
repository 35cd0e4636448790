import { Readable } from 'node:stream';
import type { PutObjectCommandInput, PutObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { bodyChunks } from './body.js';
import type { ObjectBody } from './port.js';
import type { S3Sdk } from './s3-sdk.js';

/** Sends an object. Throws what reading its pieces throws. */
export async function sendObject(
  { client, sdk }: { client: S3Client; sdk: S3Sdk },
  input: PutObjectCommandInput,
  body: ObjectBody,
  { abortSignal }: { abortSignal?: AbortSignal },
): Promise<PutObjectCommandOutput> {
  if ('bytes' in body) {
    const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.length);
    const command = new sdk.PutObjectCommand({ ...input, Body: bytes });
    return await client.send(command, abortSignal === undefined ? {} : { abortSignal });
  }
  // The SDK does not look at the errors of a stream that it sends.
  const broken = new AbortController();
  let failure: unknown;
  const stream = Readable.from(bodyChunks(body), { objectMode: false });
  stream.on('error', (error) => {
    failure = error;
    broken.abort();
  });
  try {
    return await client.send(new sdk.PutObjectCommand({ ...input, Body: stream }), {
      abortSignal: abortSignal === undefined ? broken.signal : AbortSignal.any([abortSignal, broken.signal]),
    });
  } catch (error) {
    throw failure ?? error;
  } finally {
    stream.destroy();
  }
}
