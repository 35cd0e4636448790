import type { Command } from '../measure/command.js';
import { holding } from '../measure/gate.js';
import { measure } from '../measure/run.js';
import { mainThreadIn, type Spent } from '../profile/cpu-profile.js';
import { markdownTable } from '../report/markdown.js';
import { shortNumber } from '../report/quantities.js';
import { openStand } from '../stand.js';
import { type Case, openSite, treeFor } from './case.js';

/** Under this share of the main thread's time a place is one of the rest. */
const LEAST = 0.02;

/** Where this program's time goes. */
export const profile: Case = {
  name: 'profile',
  summary:
    'where the time of our main thread goes: first run, unchanged run and restore of 20,000 files of mixed sizes',
  store: 'directory',
  peers: [],
  compressions: ['gzip'],
  run: async (context) => {
    const { contenders, options, workspace, tell } = context;
    const tree = treeFor(context, { files: 20_000, sizes: 'mixed' });
    const site = await openSite(context, 'directory');
    const text: string[] = [];
    try {
      for (const contender of contenders) {
        const stand = await openStand(contender, site, workspace);
        const target = workspace.folder('restored');
        const commands: [string, Command | undefined][] = [
          ['first run', stand.repository.backup(tree)],
          ['unchanged run', stand.repository.backup(tree)],
          ['restore', stand.repository.restore?.(tree, target)],
        ];
        for (const [what, command] of commands) {
          if (command === undefined) continue;
          tell(`profiling ${contender.name}, ${what}`);
          const folder = workspace.folder('profiles');
          const { seconds, cpu } = await holding(options.whileMeasuring, () =>
            measure(profiled(command, folder), workspace.home),
          );
          text.push(
            `${contender.name}, ${what}: ${shortNumber(seconds)} s, ${shortNumber(cpu)} s of CPU with all threads and pickers.`,
            '',
            tableOf(mainThreadIn(folder)),
            '',
          );
        }
        workspace.remove(target);
        stand.close();
      }
      return {
        text: [...text, `Files: ${tree.name}. Profiling itself slows it down.`].join('\n'),
        failed: false,
      };
    } finally {
      await site.close();
    }
  },
};

function profiled(command: Command, folder: string): Command {
  const [node = '', ...rest] = command.argv;
  return { ...command, argv: [node, '--cpu-prof', '--cpu-prof-dir', folder, ...rest] };
}

function tableOf(spent: Spent): string {
  const all = sumOf([...spent]);
  const places = [...spent].toSorted(([, a], [, b]) => b - a);
  const shown = places.filter(([, seconds]) => seconds >= LEAST * all);
  const rows: [string, number][] = [...shown, ['the rest', sumOf(places.slice(shown.length))]];
  return markdownTable(
    ['main thread', 'seconds', '%'],
    rows.map(([place, seconds]) => [place, shortNumber(seconds), shortNumber((seconds / all) * 100)]),
  );
}

function sumOf(places: readonly (readonly [string, number])[]): number {
  return places.reduce((sum, [, seconds]) => sum + seconds, 0);
}
