import type { RequestCounts } from '../events.js';
import type { ContentPages } from './find-content.js';
import { QUESTIONS_FIRST } from './find-content.js';
import type { RunEstimate } from './options.js';

/** What a look at files and catalog showed. */
export interface Foreseen {
  /** Requests sent by now: the run sends the same to remember. */
  sent: RequestCounts;
  /** Whether the manifest is listed after it is stored. */
  listsManifest: boolean;
  /** Contents that would be read, as blocks and small files, and their bytes. */
  blocks: number;
  small: number;
  bytes: number;
  /** Bundles that the small files take. */
  bundles: number;
  /** Snapshotters that would run, and the bytes of what they wrote last. */
  snapshots: { programs: number; lastBytes: number };
  /** What unknown contents would be looked up in; undefined where they are not. */
  pages: ContentPages | undefined;
  locks: {
    /** Locks of what is kept that are moved out, for this run and for the classes it stands for. */
    kept: number;
    /** Objects known and not kept, and those of them that are due: contents that are read may turn out to be these. */
    notKept: { all: number; due: number };
    /** How often a new lock is moved out at the run's end, for classes. */
    classes: number;
  };
}

/**
 * From what a run would look at to the requests that it would send. A content is known by its bytes alone, so what is
 * read may turn out to be stored already, or to be the same as another: for all that depends on it there is a least
 * and a most. Not foreseen are requests that have to be repeated, and what another machine's `renew` has done to the
 * locks since: an extension is refused then, and asked about.
 */
export function estimateOf(foreseen: Foreseen): RunEstimate {
  const { sent, listsManifest, blocks, small, bytes, bundles, snapshots, pages, locks } = foreseen;
  const lookups = pages === undefined ? 0 : mostLookups(blocks, pages);
  const found = Math.min(blocks, pages?.versions ?? 0);
  const objects = blocks + bundles;
  // At a class's end, whatever the run names: of each block the new object or the old one, of small files both kinds.
  const extended = objects + Math.min(small, locks.notKept.all) + snapshots.programs;
  const manifest = 1;
  const shown = listsManifest ? 1 : 0;
  return {
    stored: { objects, bytes },
    bundles: { objects: bundles, files: small },
    snapshots,
    requests: {
      least: withMore(sent, { list: shown, put: manifest, 'put-retention': locks.kept }),
      most: withMore(sent, {
        list: lookups + shown,
        put: objects + snapshots.programs + manifest,
        'put-retention':
          locks.kept + found + Math.min(blocks + small, locks.notKept.due) + extended * locks.classes,
        // Where the lock of what is found is longer already, and extending it refused.
        'get-retention': found,
      }),
    },
  };
}

/** As {@link ContentFinder} asks: key by key, until all pages would have cost as much. */
function mostLookups(contents: number, { pages, whole }: ContentPages): number {
  if (contents <= QUESTIONS_FIRST) return contents;
  const first = QUESTIONS_FIRST + 1;
  if (whole) return first;
  const singly = Math.min(contents, Math.max(pages, QUESTIONS_FIRST)) - QUESTIONS_FIRST;
  return first + singly + (contents > pages ? pages : 0);
}

function withMore(sent: RequestCounts, more: RequestCounts): RequestCounts {
  const counts: RequestCounts = { ...sent };
  for (const [kind, count] of Object.entries(more) as [keyof RequestCounts, number][])
    if (count > 0) counts[kind] = (counts[kind] ?? 0) + count;
  return counts;
}
