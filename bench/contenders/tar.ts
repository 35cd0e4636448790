import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { quoted } from '../measure/command.js';
import type { Peer } from './types.js';
import { versionOf } from './version.js';

const bash = (script: string): { argv: string[] } => ({ argv: ['bash', '-o', 'pipefail', '-c', script] });

/** One stream through one gzip, as many do it by hand. */
export const tarGzip: Peer = {
  name: 'tar',
  program: 'tar',
  howToGet: 'apt-get install tar gzip',
  contenders: (program) => [
    {
      name: 'tar+gzip',
      version: `${versionOf(program, '--version')}, ${versionOf('gzip', '--version')}`,
      isOwn: false,
      how: 'gzip level 6, one file, nothing synced',
      places: ['directory'],
      open: (place) => {
        const file = join(place.kind === 'directory' ? place.path : '', 'tree.tar.gz');
        return {
          init: [],
          backup: (tree) =>
            bash(
              `${quoted(program)} --create --one-file-system --directory ${quoted(tree.path)} . | gzip -6 > ${quoted(file)}`,
            ),
          restore: (_, target) => ({
            argv: [program, '--extract', '--gzip', '--file', file, '--directory', target],
          }),
          restored: (_, target) => target,
        };
      },
    },
  ],
};

/** What reading and the codec alone take on all processors: the bound that a first run is measured against. */
export const xargsGzip: Peer = {
  name: 'xargs',
  program: 'xargs',
  howToGet: 'apt-get install findutils gzip',
  contenders: () => {
    const processors = availableParallelism();
    return [
      {
        name: `xargs -P${processors} gzip`,
        version: `${versionOf('xargs', '--version')}, ${versionOf('gzip', '--version')}`,
        isOwn: false,
        how: 'gzip level 6 of each file on all processors, thrown away: the codec bound, no backup',
        places: ['directory'],
        open: () => ({
          init: [],
          backup: (tree) =>
            bash(
              `find ${quoted(tree.path)} -xdev -type f -print0 | xargs -0 -P${processors} -n100 gzip -6 -c > /dev/null`,
            ),
        }),
      },
    ];
  },
};
