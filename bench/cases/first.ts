import { evenOut } from '../caches.js';
import type { Contender, Place } from '../contenders/types.js';
import { measure } from '../measure/run.js';
import { reportOf } from '../report/report.js';
import { runRounds, type Sample } from '../rounds.js';
import { bytesIn, type Site } from '../sites.js';
import { openStand, type Stand } from '../stand.js';
import type { Tree } from '../trees/tree.js';
import {
  addTraffic,
  BACKUP_PEERS,
  type BenchContext,
  type Case,
  openSite,
  treeFor,
  verifyStores,
} from './case.js';

/** Everything is new: reading, hashing, compressing, storing. */
export const first = caseFor('first', 'directory');
export const firstS3 = caseFor('first-s3', 's3');

function caseFor(name: string, store: Place['kind']): Case {
  return {
    name,
    summary: `a first run (20,000 files of mixed sizes), ${store === 's3' ? 'S3 server' : 'directory store; against the codec alone too'}`,
    store,
    peers: [...BACKUP_PEERS[store], ...(store === 'directory' ? ['tar', 'xargs'] : [])],
    compressions: ['gzip', 'zstd'],
    run: async (context) => {
      const tree = treeFor(context, { files: 20_000, sizes: 'mixed' });
      const { options, workspace, contenders, tell } = context;
      const { rounds, caches } = options;
      const bench = new FirstRuns(context, tree);
      let description = '';
      try {
        const results = await runRounds(
          contenders.map((contender) => ({ contender, trial: () => bench.trial(contender) })),
          {
            ...options,
            onProgress: tell,
            beforeRound: async () => {
              description = await bench.begin(await openSite(context, store));
            },
          },
        );
        await verifyStores(context, tree, results, bench.stands);
        await addTraffic(context, store, results, async (stand) => {
          await measure(stand.repository.backup(tree), workspace.home);
        });
        return reportOf({ tree, store: description, caches, rounds, results });
      } finally {
        await bench.end();
      }
    },
  };
}

/** Every trial has a store of its own, which stays until its contender's next one, or until it has been verified. */
class FirstRuns {
  readonly #context: BenchContext;
  readonly #tree: Tree;
  #site: Site | undefined;
  #stands = new Map<Contender, Stand>();

  constructor(context: BenchContext, tree: Tree) {
    this.#context = context;
    this.#tree = tree;
  }

  /** A round begins, with an empty server. */
  async begin(site: Site): Promise<string> {
    await this.end();
    this.#site = site;
    return site.description;
  }

  async trial(contender: Contender): Promise<Sample> {
    const { workspace, options } = this.#context;
    if (this.#site === undefined) throw new Error('no round has begun');
    const stand = await openStand(contender, this.#site, workspace);
    this.#stands.set(contender, stand);
    evenOut(options.caches, [this.#tree.path]);
    const { seconds, cpu, peak } = await measure(stand.repository.backup(this.#tree), workspace.home);
    return { seconds, cpu, peak, stored: await bytesIn(stand.place) };
  }

  /** What is there after the last round. */
  get stands(): Stand[] {
    return [...this.#stands.values()];
  }

  async end(): Promise<void> {
    for (const stand of this.#stands.values()) stand.close();
    this.#stands.clear();
    await this.#site?.close();
    this.#site = undefined;
  }
}
