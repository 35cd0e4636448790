import { reportOf } from '../report/report.js';
import { medianOf } from '../report/results-table.js';
import { shortNumber } from '../report/quantities.js';
import { type Entrant, type Result, runRounds } from '../rounds.js';
import { type Case, openSite, treeFor, withFirstBackups } from './case.js';
import { unchangedRun } from './unchanged.js';

/** Whether a file costs more where there are more of them, and how much memory that takes. */
export const scaling: Case = {
  name: 'scaling',
  summary:
    'the unchanged run at a hundredth, a tenth and all of 1,000,000 files of up to 2 KiB, with its cost for each file',
  store: 'directory',
  peers: [],
  compressions: ['gzip'],
  run: async (context) => {
    const { options, tell } = context;
    const all = options.files ?? 1_000_000;
    const site = await openSite(context, 'directory');
    try {
      const failed: Result[] = [];
      const entrants: (Entrant & { files: number })[] = [];
      const trees = [0.01, 0.1, 1].map((share) =>
        treeFor(
          { ...context, options: { ...options, files: Math.ceil(all * share) } },
          { files: 0, sizes: 'tiny' },
        ),
      );
      for (const tree of trees) {
        const first = await withFirstBackups(context, site, tree);
        failed.push(...first.failed);
        for (const stand of first.stands) {
          const name = `${stand.contender.name}, ${tree.files.toLocaleString('en-US')} files`;
          entrants.push({
            files: tree.files,
            contender: { ...stand.contender, name },
            trial: () => unchangedRun(stand, tree, context),
          });
        }
      }
      const { rounds, caches } = options;
      const results = await runRounds(entrants, { ...options, onProgress: tell });
      const perFile = (result: Result, pick: 'seconds' | 'cpu'): string => {
        const files = entrants.find(({ contender }) => contender === result.contender)?.files ?? Number.NaN;
        return shortNumber((medianOf(result, (sample) => sample[pick]) / files) * 1e6);
      };
      const largest = trees.at(-1);
      if (largest === undefined) throw new Error('there are no files');
      return reportOf({
        tree: largest,
        store: site.description,
        caches,
        rounds,
        results: [...results, ...failed],
        notes: ['Stored: what the run added.'],
        table: {
          ratios: false,
          more: [
            { title: 'µs a file', cell: (result) => perFile(result, 'seconds') },
            { title: 'CPU µs a file', cell: (result) => perFile(result, 'cpu') },
          ],
        },
      });
    } finally {
      await site.close();
    }
  },
};
