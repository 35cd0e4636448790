import { join } from 'node:path';
import type { Peer, Place } from './types.js';
import { versionOf } from './version.js';

export const rustic: Peer = {
  name: 'rustic',
  program: 'rustic',
  howToGet: 'cargo install --locked rustic-rs',
  contenders: (program) => [
    {
      name: 'rustic',
      version: versionOf(program, '--version'),
      isOwn: false,
      how: 'zstd (its default level), always encrypted',
      places: ['directory', 's3'],
      open: (place, scratch) => {
        const env = {
          RUSTIC_PASSWORD: 'bench',
          RUSTIC_CACHE_DIR: join(scratch, 'cache'),
          RUSTIC_NO_PROGRESS: 'true',
          ...environment(place),
        };
        return {
          init: [{ argv: [program, 'init'], env }],
          backup: (tree) => ({ argv: [program, 'backup', '--one-file-system', tree.path], env }),
          restore: (tree, target) => ({ argv: [program, 'restore', `latest:${tree.path}`, target], env }),
          restored: (_, target) => target,
        };
      },
    },
  ],
};

function environment(place: Place): Record<string, string> {
  if (place.kind === 'directory') return { RUSTIC_REPOSITORY: place.path };
  return {
    RUSTIC_REPOSITORY: 'opendal:s3',
    RUSTIC_REPO_OPT_BUCKET: place.bucket,
    RUSTIC_REPO_OPT_ENDPOINT: place.endpoint,
    RUSTIC_REPO_OPT_REGION: place.region,
    AWS_ACCESS_KEY_ID: place.accessKeyId,
    AWS_SECRET_ACCESS_KEY: place.secretAccessKey,
  };
}
