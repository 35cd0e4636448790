import { evenOut } from '../caches.js';
import type { Place } from '../contenders/types.js';
import { measure } from '../measure/run.js';
import { reportOf } from '../report/report.js';
import { runRounds, type Sample } from '../rounds.js';
import { bytesIn } from '../sites.js';
import type { Stand } from '../stand.js';
import type { Tree } from '../trees/tree.js';
import {
  addTraffic,
  BACKUP_PEERS,
  type BenchContext,
  type Case,
  openSite,
  treeFor,
  verifyStores,
  withFirstBackups,
} from './case.js';

/** The run of every night: nothing has changed since the last one. */
export const unchanged = caseFor('unchanged', 'directory');
export const unchangedS3 = caseFor('unchanged-s3', 's3');

function caseFor(name: string, store: Place['kind']): Case {
  return {
    name,
    summary: `a run over a tree that has not changed since the one before (120,000 files of up to 2 KiB), ${store === 's3' ? 'S3 server' : 'directory store'}`,
    store,
    peers: BACKUP_PEERS[store],
    compressions: ['gzip'],
    run: async (context) => {
      const tree = treeFor(context, { files: 120_000, sizes: 'tiny' });
      const site = await openSite(context, store);
      try {
        const { stands, failed } = await withFirstBackups(context, site, tree);
        const { options, workspace, tell } = context;
        const results = await runRounds(
          stands.map((stand) => ({
            contender: stand.contender,
            trial: () => unchangedRun(stand, tree, context),
          })),
          { ...options, onProgress: tell },
        );
        await verifyStores(context, tree, results, stands);
        await addTraffic(context, store, results, async (stand, counted) => {
          await measure(stand.repository.backup(tree), workspace.home);
          counted.takeTraffic();
          await measure(stand.repository.backup(tree), workspace.home);
        });
        const all = [...results, ...failed];
        const { rounds, caches } = options;
        return reportOf({
          tree,
          store: site.description,
          caches,
          rounds,
          results: all,
          notes: ['Stored: what the run added.'],
        });
      } finally {
        await site.close();
      }
    },
  };
}

/** One more backup of the same, measured; throws where a good part of it was stored again. */
export async function unchangedRun(
  stand: Stand,
  tree: Tree,
  { options, workspace }: BenchContext,
): Promise<Sample> {
  const before = await bytesIn(stand.place);
  evenOut(options.caches, []);
  const { seconds, cpu, peak } = await measure(stand.repository.backup(tree), workspace.home);
  const stored = (await bytesIn(stand.place)) - before;
  if (stored > before / 2 && before > 2 ** 20)
    throw new Error(`it stored ${stored} bytes of a tree that has not changed`);
  return { seconds, cpu, peak, stored };
}
