import { addUp } from '../add-up.js';
import type { ManifestFooter, SnapshotEntry } from '../manifest/types.js';
import type { RunSummary } from './options.js';
import type { ContentObjects } from './content-objects.js';
import type { ProblemLog } from './problem-log.js';
import type { Tally } from './tally.js';

/** What footer and summary say of a run. */
export type Totals = Pick<ManifestFooter, 'counts' | 'bytes' | 'stored'>;

export function totalsOf(
  tally: Tally,
  problems: ProblemLog,
  snapshots: readonly SnapshotEntry[],
  objects?: ContentObjects,
): Totals {
  // A snapshot stored as blocks is counted with the content.
  const whole = snapshots.filter(({ dat }) => !Array.isArray(dat));
  return {
    counts: { ...tally.counts, s: snapshots.length, problems: problems.count },
    bytes: addUp(tally.bytes, sizeOf(snapshots)),
    stored: {
      objects: (objects?.stored.objects ?? 0) + whole.length,
      bytes: addUp(objects?.stored.bytes ?? 0, sizeOf(whole)),
    },
  };
}

/** As a summary has them: notes apart from what is wrong. */
export function shownCounts({ counts }: Totals, { count, notes }: ProblemLog): RunSummary['counts'] {
  return { ...counts, problems: count - notes, notes };
}

function sizeOf(snapshots: readonly SnapshotEntry[]): number {
  return snapshots.reduce((sum, { size = 0 }) => addUp(sum, size), 0);
}
