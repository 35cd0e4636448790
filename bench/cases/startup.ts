import { measure } from '../measure/run.js';
import { median } from '../measure/statistics.js';
import { reportOf } from '../report/report.js';
import { type Entrant, runRounds, type Sample } from '../rounds.js';
import type { Command } from '../measure/command.js';
import { openStand } from '../stand.js';
import { type Case, openSite, treeFor } from './case.js';

const RUNS = 10;

/** How long a command takes that has next to nothing to do. */
export const startup: Case = {
  name: 'startup',
  summary: `--help, --version and list of a small directory store, against Node.js with an empty program (${RUNS} runs a round)`,
  store: 'directory',
  peers: [],
  compressions: ['gzip'],
  run: async (context) => {
    const { options, workspace, contenders, tell } = context;
    const tree = treeFor(context, { files: 100, sizes: 'tiny' });
    const site = await openSite(context, 'directory');
    const trialOf = (command: Command) => async (): Promise<Sample> => {
      const runs: Sample[] = [];
      for (let run = 0; run < RUNS; run++) runs.push(await measure(command, workspace.home));
      const middle = (of: keyof Sample): number => median(runs.map((sample) => sample[of] ?? 0));
      return { seconds: middle('seconds'), cpu: middle('cpu'), peak: middle('peak') };
    };
    try {
      const entrants: Entrant[] = [];
      for (const contender of contenders) {
        const stand = await openStand(contender, site, workspace);
        const { repository } = stand;
        await measure(repository.backup(tree), workspace.home);
        for (const [what, command] of Object.entries(repository.small ?? {}))
          entrants.push({
            contender: {
              ...contender,
              name: `${contender.name.replace(/ gzip$/, '')} ${what}`,
              isOwn: false,
            },
            trial: trialOf(command),
          });
      }
      const node = process.execPath;
      const bare = {
        name: 'node --eval 0',
        version: process.version,
        how: 'no program at all',
        isOwn: true,
        places: ['directory'] as const,
        open: () => ({ init: [], backup: () => ({ argv: [node, '--eval', '0'] }) }),
      };
      entrants.unshift({ contender: bare, trial: trialOf({ argv: [node, '--eval', '0'] }) });
      const { rounds, caches } = options;
      const results = await runRounds(entrants, { ...options, onProgress: tell });
      return reportOf({ tree, store: site.description, caches, rounds, results });
    } finally {
      await site.close();
    }
  },
};
