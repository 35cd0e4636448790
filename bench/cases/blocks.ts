import { evenOut } from '../caches.js';
import type { Place } from '../contenders/types.js';
import { measure } from '../measure/run.js';
import { reportOf } from '../report/report.js';
import { mebibytes } from '../report/quantities.js';
import { runRounds, type Sample } from '../rounds.js';
import { bytesIn } from '../sites.js';
import type { Stand } from '../stand.js';
import { OneFile } from '../trees/one-file.js';
import {
  addTraffic,
  type BenchContext,
  type Case,
  openSite,
  type Report,
  verifyStores,
  withFirstBackups,
} from './case.js';

const PLACES = 8;
const APPENDED = 50 * 1000 * 1000;

/** A large file of which little has changed: what is sent again. */
export const blocks = caseFor('blocks', 'directory');
export const blocksS3 = caseFor('blocks-s3', 's3');

function caseFor(name: string, store: Place['kind']): Case {
  const where = store === 's3' ? 'S3 server' : 'directory store';
  return {
    name,
    summary: `a file of 4 GiB (--size) with 1 % changed in ${PLACES} places, and with 50 MB appended, ${where}`,
    store,
    peers: ['restic', 'rustic', 'kopia', 'rclone'],
    compressions: ['gzip'],
    run: async (context) => {
      const size = context.options.size ?? 4 * 2 ** 30;
      const changed = await blocksAfter(context, store, size, `1 % changed in ${PLACES} places`, (file) =>
        file.change(size / 100, PLACES),
      );
      const appended = await blocksAfter(
        context,
        store,
        size,
        `${mebibytes(APPENDED)} MiB appended`,
        (file) => file.append(APPENDED),
      );
      return {
        text: `${changed.text}\n\n${appended.text}`,
        failed: changed.failed || appended.failed,
      };
    },
  };
}

async function blocksAfter(
  context: BenchContext,
  store: Place['kind'],
  size: number,
  what: string,
  change: (file: OneFile) => void,
): Promise<Report> {
  const { options, workspace, tell } = context;
  const { rounds, caches } = options;
  tell(`making a file of ${mebibytes(size)} MiB`);
  const folder = workspace.folder('one-file');
  const file = new OneFile(folder, size);
  const site = await openSite(context, store);
  let closed = false;
  const close = async (): Promise<void> => {
    if (!closed) await site.close();
    closed = true;
  };
  try {
    const { stands, failed } = await withFirstBackups(context, site, file.tree);
    const backup = async ({ repository, folders, place }: Stand): Promise<Sample> => {
      evenOut(caches, { read: [file.tree.path, ...folders] });
      const before = await bytesIn(place);
      const { seconds, cpu, peak } = await measure(repository.backup(file.tree), workspace.home);
      return { seconds, cpu, peak, stored: (await bytesIn(place)) - before };
    };
    const results = await runRounds(
      stands.map((stand) => ({ contender: stand.contender, trial: () => backup(stand) })),
      { ...options, onProgress: tell, beforeRound: async () => change(file) },
    );
    await verifyStores(context, file.tree, results, stands);
    // Room for the stores of those that are counted.
    await close();
    await addTraffic(context, store, results, async (stand, counted) => {
      await measure(stand.repository.backup(file.tree), workspace.home);
      change(file);
      counted.takeTraffic();
      await measure(stand.repository.backup(file.tree), workspace.home);
    });
    const notes = [
      `A file of ${mebibytes(size)} MiB, ${what}. Stored: by how much the store has grown; rclone writes the whole file anew in the old one's place.`,
    ];
    const { tree } = file;
    return reportOf({
      tree,
      store: site.description,
      caches,
      rounds,
      results: [...results, ...failed],
      notes,
    });
  } finally {
    await close();
    workspace.remove(folder);
  }
}
