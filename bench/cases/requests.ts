import type { RequestCounts } from '#src/index.js';
import { measure } from '../measure/run.js';
import { holding } from '../measure/gate.js';
import { markdownTable } from '../report/markdown.js';
import { priceOf } from '../report/price.js';
import { dollars, shortNumber } from '../report/quantities.js';
import { reportOf } from '../report/report.js';
import { requestsInWords } from '../report/results-table.js';
import { type Result, runRounds } from '../rounds.js';
import type { Contender } from '../contenders/types.js';
import { openStand } from '../stand.js';
import type { Tree } from '../trees/tree.js';
import { type Nights, simulateNights } from '../year/nights.js';
import { type BenchContext, type Case, openSite, treeFor } from './case.js';

const FILE_BYTES = 4096;

/** What small files cost in requests: the first run, an unchanged one, and all nights of a year. */
export const requests: Case = {
  name: 'requests',
  summary:
    '1,000,000 files of 4 KiB: requests of a first run and of an unchanged one, S3 server; and of a year of nights, simulated',
  store: 's3',
  peers: ['restic', 'rustic', 'kopia'],
  compressions: ['gzip'],
  run: async (context) => {
    const { options, workspace, tell } = context;
    const tree = treeFor(context, { files: 1_000_000, sizes: FILE_BYTES });
    const { results, description } = await countedRuns(context, tree);
    const nights = await holding(options.whilePreparing, () =>
      simulateNights(tree, {
        folder: workspace.folder('year'),
        nights: options.nights ?? 365,
        content: options.content,
        tell,
      }),
    );
    const table = reportOf({
      tree,
      store: description,
      caches: options.caches,
      rounds: 1,
      results,
      table: { ratios: false },
      notes: ['Through the counting proxy, each once: the seconds are no comparison.'],
    });
    return { ...table, text: `${table.text}\n\n${yearTable(nights, tree)}` };
  },
};

/** Each contender's first run and a second one, both counted. */
async function countedRuns(
  context: BenchContext,
  tree: Tree,
): Promise<{ results: Result[]; description: string }> {
  const { contenders, options, workspace, tell } = context;
  const all: Result[] = [];
  let description = '';
  for (const contender of contenders) {
    const named = (what: string): Contender => ({ ...contender, name: `${contender.name}, ${what}` });
    const site = await openSite(context, 's3', true);
    try {
      description = site.description;
      const stand = await openStand(contender, site, workspace);
      site.takeTraffic();
      for (const what of ['first run', 'unchanged run']) {
        const results = await runRounds(
          [
            {
              contender: named(what),
              trial: () => measure(stand.repository.backup(tree), workspace.home),
            },
          ],
          { rounds: 1, whileMeasuring: options.whilePreparing, onProgress: tell },
        );
        const traffic = site.takeTraffic();
        all.push(...results.map((result) => (traffic === undefined ? result : { ...result, traffic })));
      }
      stand.close();
    } finally {
      await site.close();
    }
  }
  return { results: all, description };
}

function yearTable({ first, following, nights }: Nights, tree: Tree): string {
  const weekly = { 'put-retention': Math.ceil((tree.files * nights) / 7) };
  const row = (name: string, counts: RequestCounts): string[] => [
    name,
    sumOf(counts).toLocaleString('en-US'),
    requestsInWords(counts),
    dollars(priceOf(counts)),
    shortNumber((sumOf(counts) / sumOf(weekly)) * 100),
  ];
  return [
    markdownTable(
      ['', 'requests', 'by kind', 'US$', '% of the last'],
      [
        row('first run', first),
        row(`${nights} unchanged nights, renewals included`, following),
        row('one renewal for each file and week', weekly),
      ],
    ),
    '',
    `Simulated by the library with the same conf and a store whose clock is set; what had lapsed was removed each night, and after the last one verify found everything there and locked as promised.`,
  ].join('\n');
}

function sumOf(counts: RequestCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
