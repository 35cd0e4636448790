import { throwIfAborted } from '../errors.js';
import { OwnerNames } from '../files/owners.js';
import type { FileEntry } from '../manifest/types.js';
import { Budget } from '../store/concurrency.js';
import { MAX_MEMBERS } from './bundler.js';
import { ContentTaker } from './content-taker.js';
import { EntryMaker } from './entry-maker.js';
import { EntryOutput } from './entry-output.js';
import { doubtfulCopy } from './entry-problems.js';
import { Join, type JoinHandlers } from './join.js';
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
  /** In which order pickers printed the entries (catalog/print-order.ts). */
  order: Uint32Array;
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
  recalled.objects.expect(picked.count - picked.confirmed.count);
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
    picked.known?.count ?? 0,
    start.bundleBelow.inForce > 0 ? MAX_MEMBERS : 0,
    (path, line) => {
      const { w = [] } = JSON.parse(line.toString()) as FileEntry;
      for (const warning of w) {
        tally.warnings[warning]++;
        problems.add(doubtfulCopy(path, warning));
      }
    },
  );
  tally.total = picked.count;
  const isBelieved = recalled.catalog !== undefined;
  const handlers: JoinHandlers = {
    keep: (block, index) => isBelieved && keeper.keep(block, index),
    make: (path, stats, at) => maker.make(path, stats, at),
    damaged: (error) => warnOfDamage(workshop, error),
  };
  const join = new Join(output, handlers, async () => {
    throwIfAborted(options.signal);
    tally.report();
    await lockKeeper.keepUp();
  });
  await join.run(picked);
  await output.finish();
  tally.report(true);
  return { names, reused: keeper.reused, order: output.numbers.renumbered(picked.order) };
}

function warnOfDamage({ start }: Workshop, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `the catalog in ${start.state.path} is damaged (${reason}): the files that stood there are read again`;
  start.onEvent({ type: 'log', level: 'warning', message });
}
