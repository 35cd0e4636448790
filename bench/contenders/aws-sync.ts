import type { Peer } from './types.js';
import { versionOf } from './version.js';

/** No backup program: a mirror of files to objects, the last state only. */
export const awsSync: Peer = {
  name: 'aws',
  program: 'aws',
  howToGet: "pip install awscli, or Amazon's own installer of version 2",
  contenders: (program) => [
    {
      name: 'aws s3 sync',
      version: versionOf(program, '--version'),
      isOwn: false,
      how: 'nothing compressed or encrypted, the last state only, an object for each file',
      places: ['s3'],
      notKept: { links: true, emptyFolders: true },
      open: (place) => {
        if (place.kind !== 's3') throw new Error('aws s3 sync stores in buckets only');
        const env = {
          AWS_ACCESS_KEY_ID: place.accessKeyId,
          AWS_SECRET_ACCESS_KEY: place.secretAccessKey,
          AWS_REGION: place.region,
          AWS_ENDPOINT_URL_S3: place.endpoint,
          // Trailing checksums are unknown to older servers.
          AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required',
          AWS_RESPONSE_CHECKSUM_VALIDATION: 'when_required',
        };
        const how = [program, 's3', 'sync', '--only-show-errors', '--no-follow-symlinks'];
        const sync = (from: string, to: string): string[] => [...how, from, to];
        const bucket = `s3://${place.bucket}`;
        return {
          init: [],
          backup: (tree) => ({ argv: sync(tree.path, bucket), env }),
          restore: (_, target) => ({ argv: sync(bucket, target), env }),
          restored: (_, target) => target,
        };
      },
    },
  ],
};
