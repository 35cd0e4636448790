import { throwIfAborted } from '../errors.js';
import { OwnerNames } from '../files/owners.js';
import { Budget } from '../store/concurrency.js';
import { MAX_MEMBERS } from './bundler.js';
import { ContentTaker } from './content-taker.js';
import { EntryMaker } from './entry-maker.js';
import { EntryOutput } from './entry-output.js';
import { Join } from './join.js';
import { Keeper } from './keep.js';
import { NamesUsed } from './names-used.js';
import type { Picked } from './pick.js';
import type { Tally } from './tally.js';
import type { Workshop } from './workshop.js';

/** Bytes of content in memory at most, beside what the workers hold. */
const CONTENT_BUDGET = 64 << 20;

/** What the catalog's head keeps of the entries' writing. */
export interface WrittenEntries {
  names: NamesUsed;
  /** Times a file's content was there already and its lock long enough. */
  reused: number;
}

/** Writes the entry of every picked path to manifest and catalog, and has new content stored. */
export async function writeEntries(
  workshop: Workshop,
  picked: Picked,
  tally: Tally,
): Promise<WrittenEntries> {
  const { objects, pool, rows, spool, catalog, lockKeeper, start } = workshop;
  const { options, recalled, problems } = start;
  const head = recalled.catalog?.head;
  const names = new NamesUsed(new OwnerNames({ env: options.env }));
  const renamed = await names.changedSince(head?.users ?? {}, head?.groups ?? {});
  const keeper = new Keeper(objects, recalled.objects, renamed);
  const contents = new ContentTaker({
    reader: pool,
    content: rows,
    budget: new Budget(CONTENT_BUDGET),
    blockSize: options.settings.content.blockSize,
    flush: () => objects.flush(),
    report: (problem) => problems.add(problem),
    onRead: (bytes) => tally.addRead(bytes),
  });
  const maker = new EntryMaker({
    names,
    contents,
    report: (problem) => problems.add(problem),
    startedNs: picked.startedNs,
  });
  const output = new EntryOutput(
    spool,
    catalog,
    (stats, at, size) => tally.count(stats, at, size),
    (waiting) => contents.drain(waiting),
    options.settings.content.bundleBelow > 0 ? MAX_MEMBERS : 0,
  );
  tally.total = picked.paths.count;
  const join = new Join(output, recalled.catalog?.entries(), {
    keep: (block, index) => keeper.keep(block, index),
    make: (path, stats, at) => maker.make(path, stats, at),
    damaged: (error) => warnOfDamage(workshop, error),
  });
  await join.run(picked.paths.batches(), async () => {
    throwIfAborted(options.signal);
    tally.report();
    await lockKeeper.keepUp();
  });
  await output.finish();
  tally.report(true);
  return { names, reused: keeper.reused };
}

function warnOfDamage({ start }: Workshop, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `the catalog in ${start.state.path} is damaged (${reason}): the files behind that place are read again`;
  start.onEvent({ type: 'log', level: 'warning', message });
}
