import { CreateBucketCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Place } from '../contenders/types.js';

export type ServerKind = 'ceph' | 'versitygw';

/** An S3 server on this machine, started for one trial and empty. */
export interface S3Server {
  /** In its own words. */
  version: string;
  access: Omit<S3Place, 'bucket'>;
  stop(): Promise<void>;
}

export async function makeBucket(
  access: S3Server['access'],
  bucket: string,
  locks: boolean,
): Promise<S3Place> {
  const client = clientOf(access);
  await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: locks }));
  client.destroy();
  return { ...access, bucket };
}

/** Bytes and number of all versions in a bucket. */
export async function storedInBucket(place: S3Place): Promise<{ bytes: number; objects: number }> {
  const client = clientOf(place);
  const stored = { bytes: 0, objects: 0 };
  let after: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (after !== undefined) {
    const page: Awaited<ReturnType<typeof ask>> = await ask(client, place.bucket, after);
    for (const { Size = 0 } of page.Versions ?? []) {
      stored.bytes += Size;
      stored.objects += 1;
    }
    const { IsTruncated, NextKeyMarker, NextVersionIdMarker } = page;
    after =
      IsTruncated !== true || NextKeyMarker === undefined
        ? undefined
        : {
            KeyMarker: NextKeyMarker,
            ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
          };
  }
  client.destroy();
  return stored;
}

async function ask(client: S3Client, Bucket: string, after: object) {
  return client.send(new ListObjectVersionsCommand({ Bucket, ...after }));
}

function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Server['access']): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}
