import { join } from 'node:path';
import type { Peer, Place } from './types.js';
import { versionOf } from './version.js';

export const kopia = withCompression('kopia', 'zstd');

/** The codec that this program has by default. Only for who names it. */
export const kopiaGzip = withCompression('kopia-gzip', 'gzip');

function withCompression(name: string, compression: 'zstd' | 'gzip'): Peer {
  return {
    name,
    program: 'kopia',
    howToGet: "Kopia's own Debian repository (kopia.io), or go install github.com/kopia/kopia@latest",
    contenders: (program) => [
      {
        name,
        version: `kopia ${versionOf(program, '--version').split(' ')[0]}`,
        isOwn: false,
        how: `${compression} (its default is none), always encrypted`,
        places: ['directory', 's3'],
        open: (place, scratch) => {
          const env = {
            KOPIA_PASSWORD: 'bench',
            KOPIA_CONFIG_PATH: join(scratch, 'repository.config'),
            KOPIA_CACHE_DIRECTORY: join(scratch, 'cache'),
            KOPIA_LOG_DIR: join(scratch, 'logs'),
            KOPIA_CHECK_FOR_UPDATES: 'false',
            ...(place.kind === 's3'
              ? { AWS_ACCESS_KEY_ID: place.accessKeyId, AWS_SECRET_ACCESS_KEY: place.secretAccessKey }
              : {}),
          };
          const policy = [
            'policy',
            'set',
            '--global',
            `--compression=${compression}`,
            '--one-file-system=true',
          ];
          return {
            init: [
              { argv: [program, 'repository', 'create', ...destination(place)], env },
              { argv: [program, ...policy], env },
            ],
            backup: (tree) => ({ argv: [program, 'snapshot', 'create', '--no-progress', tree.path], env }),
            restore: (tree, target) => ({ argv: [program, 'restore', tree.path, target], env }),
            restored: (_, target) => target,
          };
        },
      },
    ],
  };
}

function destination(place: Place): string[] {
  if (place.kind === 'directory') return ['filesystem', '--path', place.path];
  const { host } = new URL(place.endpoint);
  return ['s3', '--bucket', place.bucket, '--endpoint', host, '--region', place.region, '--disable-tls'];
}
