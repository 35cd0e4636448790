import { join } from 'node:path';
import type { Peer, Place } from './types.js';
import { versionOf } from './version.js';

export const restic: Peer = {
  name: 'restic',
  program: 'restic',
  howToGet: 'apt-get install restic, or go install github.com/restic/restic/cmd/restic@latest',
  contenders: (program) => [
    {
      name: 'restic',
      version: versionOf(program, 'version'),
      isOwn: false,
      how: 'zstd (auto), always encrypted',
      places: ['directory', 's3'],
      open: (place, scratch) => {
        const env = {
          RESTIC_PASSWORD: 'bench',
          RESTIC_CACHE_DIR: join(scratch, 'cache'),
          ...environment(place),
        };
        return {
          init: [{ argv: [program, 'init', '--quiet'], env }],
          backup: (tree) => ({
            argv: [program, 'backup', '--json', '--quiet', '--one-file-system', tree.path],
            env,
            check: ({ stdout }) => {
              const found = /"total_files_processed":(\d+)/.exec(stdout)?.[1];
              if (Number(found) !== tree.files) throw new Error(`it saw ${found} files of ${tree.files}`);
            },
          }),
          restore: (_, target) => ({ argv: [program, 'restore', 'latest', '--target', target], env }),
          restored: (tree, target) => join(target, tree.path),
        };
      },
    },
  ],
};

function environment(place: Place): Record<string, string> {
  if (place.kind === 'directory') return { RESTIC_REPOSITORY: place.path };
  return {
    RESTIC_REPOSITORY: `s3:${place.endpoint}/${place.bucket}`,
    AWS_ACCESS_KEY_ID: place.accessKeyId,
    AWS_SECRET_ACCESS_KEY: place.secretAccessKey,
    AWS_DEFAULT_REGION: place.region,
  };
}
