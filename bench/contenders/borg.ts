import { join } from 'node:path';
import type { Contender, Peer } from './types.js';
import { versionOf } from './version.js';

export const borg: Peer = {
  name: 'borg',
  program: 'borg',
  howToGet: 'apt-get install borgbackup, or pip install borgbackup',
  contenders: (program) => [withCompression(program, 'lz4'), withCompression(program, 'zstd')],
};

function withCompression(program: string, compression: 'lz4' | 'zstd'): Contender {
  return {
    name: `borg ${compression}`,
    version: versionOf(program, '--version'),
    isOwn: false,
    how: `${compression === 'zstd' ? 'zstd level 3' : compression}, --encryption none`,
    places: ['directory'],
    open: (place, scratch) => {
      if (place.kind !== 'directory') throw new Error('borg stores in folders only');
      const env = { BORG_BASE_DIR: scratch, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };
      const repository = join(place.path, 'repository');
      let backups = 0;
      return {
        init: [{ argv: [program, 'init', '--encryption', 'none', repository], env }],
        backup: (tree) => {
          backups += 1;
          return {
            argv: [
              program,
              'create',
              '--json',
              '--one-file-system',
              '--compression',
              compression,
              `${repository}::${backups}`,
              tree.path,
            ],
            env,
            check: ({ stdout }) => {
              const found = /"nfiles": (\d+)/.exec(stdout)?.[1];
              // It counts links too.
              if (Number(found) < tree.files) throw new Error(`it saw ${found} files of ${tree.files}`);
            },
          };
        },
        restore: (_, target) => ({
          argv: [program, 'extract', `${repository}::${backups}`],
          env,
          cwd: target,
        }),
        restored: (tree, target) => join(target, tree.path),
      };
    },
  };
}
