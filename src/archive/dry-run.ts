import { type EntryBlock, MANY_OBJECTS, ONE_OBJECT } from '../catalog/entry-blocks.js';
import { throwIfAborted } from '../errors.js';
import type { FileEntry } from '../manifest/types.js';
import type { LockDates } from '../store/lock-dates.js';
import { FileStat } from '../files/stat.js';
import type { CarriedBlock, EntrySink, PendingEntry } from './entry-output.js';
import { Join } from './join.js';
import type { RunSummary } from './options.js';
import type { Picked } from './pick.js';
import type { Tally } from './tally.js';
import type { RunStart } from './workshop.js';

/** What a run would do, as far as that can be said without reading a file. */
export type Estimate = Pick<RunSummary, 'read' | 'reused' | 'renewed'>;

/**
 * Joins as a run would and counts. What would be stored cannot be said: of what would be read, some may turn out to be
 * stored already, and how far the rest compresses nobody knows.
 */
export async function estimate(
  { options, recalled, problems }: RunStart,
  picked: Picked,
  locks: LockDates,
  tally: Tally,
): Promise<Estimate> {
  const due = new Set<number>();
  let reused = 0;
  const keepRow = (row: number): boolean => {
    if (row < 0 || recalled.objects.isGone(row)) return false;
    if (locks.isDue(recalled.objects.until(row))) due.add(row);
    reused++;
    return true;
  };
  const keep = (block: EntryBlock, index: number): boolean => {
    const flags = block.flags(index);
    if ((flags & ONE_OBJECT) !== 0)
      return keepRow(recalled.objects.find(block.bytes, block.shaOffset(index)));
    if ((flags & MANY_OBJECTS) === 0) return true;
    const { dat } = JSON.parse(block.line(index).toString()) as FileEntry;
    return (
      Array.isArray(dat) &&
      dat.every(({ key }) => keepRow(recalled.objects.find(Buffer.from(key.slice(-64), 'hex'))))
    );
  };
  const counted = new CountingSink(tally);
  const join = new Join(counted, recalled.catalog?.entries(), {
    keep,
    make: (path, stats, at) => {
      const stat = new FileStat(stats, at);
      if (stat.kind === 'file' && stat.size > 0) {
        tally.addRead(stat.size);
      }
      return { path, line: EMPTY, flags: 0, stat: stats, statAt: at, sha: undefined, shaAt: 0, tag: 0 };
    },
    damaged: () =>
      problems.add({ severity: 'note', code: 'catalog-damaged', message: 'the catalog is damaged' }),
  });
  await join.run(picked.paths.batches(), async () => throwIfAborted(options.signal));
  return { read: tally.read, reused, renewed: due.size };
}

const EMPTY = Buffer.alloc(0);

/** Takes what a join gives out, and only counts it. */
class CountingSink implements EntrySink {
  readonly hasRoom = true;
  readonly #tally: Tally;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  async room(): Promise<void> {}

  add(entries: readonly PendingEntry[]): void {
    for (const entry of entries) if (!(entry instanceof Promise)) this.#tally.count(entry.stat, entry.statAt);
  }

  carry({ block }: CarriedBlock): void {
    for (let index = 0; index < block.count; index++) this.#tally.count(block.bytes, block.statOffset(index));
  }
}
