import type { Peer, Place } from './types.js';
import { versionOf } from './version.js';

/** No backup program: a mirror of files to files or objects, the last state only. */
export const rclone: Peer = {
  name: 'rclone',
  program: 'rclone',
  howToGet: 'apt-get install rclone, or go install github.com/rclone/rclone@latest',
  contenders: (program) => [
    {
      name: 'rclone sync',
      version: versionOf(program, 'version'),
      isOwn: false,
      how: 'nothing compressed or encrypted, the last state only, an object for each file',
      places: ['directory', 's3'],
      // Only later releases know how to keep links on S3.
      notKept: { links: true, emptyFolders: true },
      open: (place) => {
        const { remote, env } = target(place);
        const sync = [program, 'sync', '--config', '/dev/null', '--one-file-system', '--skip-links'];
        return {
          init: [],
          backup: (tree) => ({ argv: [...sync, tree.path, remote], env }),
          restore: (_, back) => ({ argv: [...sync, remote, back], env }),
          restored: (_, back) => back,
        };
      },
    },
  ],
};

function target(place: Place): { remote: string; env: Record<string, string> } {
  if (place.kind === 'directory') return { remote: place.path, env: {} };
  return {
    remote: `bench:${place.bucket}`,
    env: {
      RCLONE_CONFIG_BENCH_TYPE: 's3',
      RCLONE_CONFIG_BENCH_PROVIDER: 'Other',
      RCLONE_CONFIG_BENCH_ENDPOINT: place.endpoint,
      RCLONE_CONFIG_BENCH_REGION: place.region,
      RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: place.accessKeyId,
      RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: place.secretAccessKey,
      RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET: 'true',
    },
  };
}
