import { join } from 'node:path';
import { addUp } from '../add-up.js';
import { throwIfAborted } from '../errors.js';
import { OwnerNames } from '../files/owners.js';
import { FileStat } from '../files/stat.js';
import { classUntil, periodDays } from '../manifest/retention-classes.js';
import { findExecutables } from '../sources/executables.js';
import { LockDates } from '../store/lock-dates.js';
import { BundleForecast } from './bundle-forecast.js';
import { estimateOf } from './estimate.js';
import type { CarriedBlock, EntrySink, PendingEntry } from './entry-output.js';
import { contentPages } from './find-content.js';
import { Join, type JoinHandlers } from './join.js';
import { Keeper } from './keep.js';
import { classesOf } from './lock-keeper.js';
import { NamesUsed } from './names-used.js';
import type { RunEstimate, RunSummary } from './options.js';
import { PathsToStore } from './paths-to-store.js';
import type { Picked } from './pick.js';
import { RenewalForecast } from './renewal-forecast.js';
import type { Tally } from './tally.js';
import { locksOf, type RunStart } from './workshop.js';

/** What a run would do, as far as that can be said without reading a file. */
export type Estimate = Pick<RunSummary, 'read' | 'reused' | 'renewed'> & { estimate: RunEstimate };

/** Joins as a run would, and counts. Besides what a run asks first it may send one LIST of `content/`. */
export async function estimate(start: RunStart, picked: Picked, tally: Tally): Promise<Estimate> {
  const { options, recalled, problems, store } = start;
  const { content, confDir, classes: kept } = options.settings;
  const sent = options.requests?.() ?? {};
  const head = recalled.catalog?.head;
  const locks = locksOf(start);
  const renewals = new RenewalForecast(recalled.objects, locks);
  const reading = new ReadingForecast(tally, content.blockSize, start.bundleBelow.inForce);
  const names = new NamesUsed(new OwnerNames({ env: options.env }));
  const renamed = await names.changedSince(head?.users ?? {}, head?.groups ?? {});
  const keeper = new Keeper(renewals, recalled.objects, renamed);
  const output = new CountingSink(tally, (entries) => reading.bundles.pass(entries));
  const isBelieved = recalled.catalog !== undefined;
  const paths = new PathsToStore(options.onPaths);
  const handlers: JoinHandlers = {
    keep: (block, index) => isBelieved && keeper.keep(block, index),
    make: (path, stats, at, why) => {
      const stat = new FileStat(stats, at);
      reading.add(stat);
      paths.add(path, stat, why);
      return { path, line: EMPTY, flags: 0, stat: stats, statAt: at, sha: undefined, shaAt: 0, tag: 0 };
    },
    damaged: () =>
      problems.add({ severity: 'note', code: 'catalog-damaged', message: 'the catalog is damaged' }),
  };
  tally.total = picked.count;
  await new Join(output, handlers, async () => {
    throwIfAborted(options.signal);
    await paths.tell();
  }).run(picked);
  await paths.tell();
  const { executables } = await findExecutables(join(confDir, 'snapshots.d'), { uid: options.uid });
  const standsFor = problems.outcome === 'broken' ? [] : classDates(start, kept, locks);
  return {
    read: tally.read,
    reused: keeper.reused,
    renewed: renewals.count,
    estimate: estimateOf({
      sent,
      listsManifest: store.etags !== undefined,
      blocks: reading.blocks,
      small: reading.small,
      bytes: reading.bytes,
      bundles: reading.bundles.count,
      snapshots: { programs: executables.length, lastBytes: sum(Object.values(head?.snapshots ?? {})) },
      pages: content.share && reading.blocks > 0 ? await contentPages(store) : undefined,
      locks: {
        kept: renewals.count + renewals.forClasses(standsFor),
        notKept: renewals.notKept,
        classes: standsFor.length,
      },
    }),
  };
}

const EMPTY = Buffer.alloc(0);

/** What is extended at the run's end, each class further than the one before. */
function classDates(
  { startMs, recalled }: RunStart,
  configured: Parameters<typeof classesOf>[1],
  locks: LockDates,
): LockDates[] {
  const dates: LockDates[] = [];
  let { needed } = locks;
  if (locks.mode === undefined) return dates;
  for (const { name, days } of classesOf(startMs, configured, recalled.catalog?.head)) {
    const until = classUntil(startMs, days);
    if (until <= needed) continue;
    needed = until;
    dates.push(LockDates.ofClass(until, periodDays(name), locks.mode));
  }
  return dates;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce(addUp, 0);
}

/** The files that would be read, and what they would be stored as if all of them were new. */
class ReadingForecast {
  blocks = 0;
  small = 0;
  #bytes = 0;
  readonly bundles = new BundleForecast();
  readonly #tally: Tally;
  readonly #blockSize: number;
  readonly #bundleBelow: number;
  readonly #linked = new Set<string>();

  constructor(tally: Tally, blockSize: number, bundleBelow: number) {
    this.#tally = tally;
    this.#blockSize = blockSize;
    this.#bundleBelow = bundleBelow;
  }

  /** Uncompressed, with what a tar adds. */
  get bytes(): number {
    return addUp(this.#bytes, this.bundles.bytes);
  }

  add(stat: FileStat): void {
    const { size, links } = stat;
    if (stat.kind !== 'file') return;
    if (links > 1) {
      // An inode is read once, for all its names.
      const { linkId } = stat;
      if (this.#linked.has(linkId)) return;
      this.#linked.add(linkId);
    }
    this.#tally.addRead(size);
    if (size === 0) return;
    if (size < this.#bundleBelow) {
      this.small++;
      this.bundles.add(size);
    } else {
      this.blocks += Math.ceil(size / this.#blockSize);
      this.#bytes = addUp(this.#bytes, size);
    }
  }
}

/** Takes what a join gives out, and only counts it. */
class CountingSink implements EntrySink {
  readonly hasRoom = true;
  readonly #tally: Tally;
  readonly #onEntries: (count: number) => void;

  constructor(tally: Tally, onEntries: (count: number) => void) {
    this.#tally = tally;
    this.#onEntries = onEntries;
  }

  async room(): Promise<void> {}

  add(entries: readonly PendingEntry[]): void {
    this.#onEntries(entries.length);
    for (const entry of entries) if ('stat' in entry) this.#tally.count(entry.stat, entry.statAt);
  }

  carry({ block }: CarriedBlock): void {
    for (let index = 0; index < block.count; index++) this.#tally.count(block.bytes, block.statOffset(index));
  }
}
