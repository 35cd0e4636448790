import { evenOut } from '../caches.js';
import type { Place } from '../contenders/types.js';
import { measure } from '../measure/run.js';
import { reportOf } from '../report/report.js';
import { runRounds, type Sample } from '../rounds.js';
import type { Stand } from '../stand.js';
import { expectSame } from '../trees/compare.js';
import type { Tree } from '../trees/tree.js';
import {
  addTraffic,
  BACKUP_PEERS,
  type BenchContext,
  type Case,
  openSite,
  treeFor,
  withFirstBackups,
} from './case.js';

/** Everything comes back, into an empty folder. */
export const restore = caseFor('restore', 'directory');
export const restoreS3 = caseFor('restore-s3', 's3');

function caseFor(name: string, store: Place['kind']): Case {
  return {
    name,
    summary: `restoring a first run's tree (20,000 files of mixed sizes), ${store === 's3' ? 'S3 server' : 'directory store'}`,
    store,
    peers: [...BACKUP_PEERS[store], ...(store === 'directory' ? ['tar'] : [])],
    compressions: ['gzip', 'zstd'],
    run: async (context) => {
      const tree = treeFor(context, { files: 20_000, sizes: 'mixed' });
      const site = await openSite(context, store);
      try {
        const { stands, failed } = await withFirstBackups(context, site, tree);
        const { options, workspace, tell } = context;
        const results = await runRounds(
          stands.map((stand) => ({
            contender: stand.contender,
            trial: () => restoring(stand, tree, context),
          })),
          { ...options, onProgress: tell },
        );
        await addTraffic(context, store, results, async (stand, counted) => {
          await measure(stand.repository.backup(tree), workspace.home);
          counted.takeTraffic();
          await restoring(stand, tree, context);
        });
        const all = [...results, ...failed];
        const { rounds, caches } = options;
        return reportOf({ tree, store: site.description, caches, rounds, results: all });
      } finally {
        await site.close();
      }
    },
  };
}

/** What came back is compared with what was there, after the clock has stopped. */
async function restoring(stand: Stand, tree: Tree, { options, workspace }: BenchContext): Promise<Sample> {
  const { repository, contender, place } = stand;
  if (repository.restore === undefined || repository.restored === undefined)
    throw new Error('it cannot restore');
  const target = workspace.folder('restored');
  try {
    evenOut(options.caches, place.kind === 'directory' ? [place.path] : []);
    const { seconds, cpu, peak } = await measure(repository.restore(tree, target), workspace.home);
    if (options.verify) expectSame(tree.path, repository.restored(tree, target), contender.notKept);
    return { seconds, cpu, peak };
  } finally {
    workspace.remove(target);
  }
}
