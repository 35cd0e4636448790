import type { RequestCounts, RunEstimate, RunSummary } from '../../src/index.js';
import { completeText } from './complete-text.js';
import { doubtfulText } from './doubtful-copies.js';
import { foldRow } from './fold.js';
import { onLinesAbove } from './line-limit.js';
import { priceText } from './price-text.js';
import { printable } from './printable.js';
import { countOf, formatBytes, formatCount, formatDuration, formatTime } from './quantities.js';

type Row = [name: string, text: string];

/** Of the names in front, the longest and one more. */
const NAME_WIDTH = 10;

/**
 * What a run did, or a dry run foretells, for a person. `storeName` is where. Lines are folded to so many columns;
 * default: not at all.
 */
export function archiveSummary(
  summary: RunSummary,
  storeName: string,
  columns = Number.POSITIVE_INFINITY,
): string[] {
  const { backup, run, outcome, estimate } = summary;
  const rows = estimate === undefined ? rowsOfRun(summary, storeName) : rowsOfDryRun(summary, estimate);
  const lacking = summary.lacksComplete ? `; ${completeText(summary)}` : '';
  const title =
    estimate === undefined
      ? `${backup}: run ${run} is ${outcome}${lacking}`
      : `${backup}: dry run, nothing was stored${lacking}. A run now`;
  return [
    printable(title),
    ...rows.flatMap(([name, text]) => foldRow(`  ${name.padEnd(NAME_WIDTH)}  `, printable(text), columns)),
  ];
}

function rowsOfRun(summary: RunSummary, storeName: string): Row[] {
  const { manifest, read, stored, requests, price, lockedUntil } = summary;
  return [
    ['looked at', lookedAt(summary)],
    ['read', `${countOf(read.files, 'file')}, ${formatBytes(read.bytes)}`],
    ['stored', `${countOf(stored.objects, 'new object')}, ${formatBytes(stored.bytes)}`],
    [
      're-used',
      countOf(summary.reused, 'content that was stored already', 'contents that were stored already'),
    ],
    ['renewed', countOf(summary.renewed, 'lock')],
    ...doubtful(summary),
    ...problems(summary),
    ['requests', amounts(requests, formatCount)],
    ...(price === undefined ? [] : [['price', priceText(price)] satisfies Row]),
    ['took', took(summary)],
    ['manifest', manifest === undefined ? 'none' : `${manifest.key} in ${storeName}`],
    [
      'locked',
      lockedUntil === undefined ? 'no: this store has no locks' : `until ${formatTime(lockedUntil)}`,
    ],
  ];
}

function rowsOfDryRun(summary: RunSummary, { stored, bundles, snapshots, requests }: RunEstimate): Row[] {
  const { read, reused, renewed, price } = summary;
  const inBundles =
    bundles.objects === 0
      ? ''
      : ` (of them ${countOf(bundles.objects, 'bundle')} of ${countOf(bundles.files, 'small file')})`;
  return [
    ['looks at', lookedAt(summary)],
    ['reads', `${countOf(read.files, 'file')}, ${formatBytes(read.bytes)}`],
    [
      'stores',
      stored.objects === 0
        ? 'no new content'
        : `at most ${countOf(stored.objects, 'new object')}, ${formatBytes(stored.bytes)} before compression${inBundles}`,
    ],
    ['re-uses', countOf(reused, 'content that is stored already', 'contents that are stored already')],
    [
      'renews',
      renewed === 0 ? 'no lock: none is due' : countOf(renewed, 'lock that is due', 'locks that are due'),
    ],
    ...(snapshots.programs === 0 ? [] : [['snapshots', snapshotsText(snapshots)] satisfies Row]),
    ...problems(summary),
    ['requests', ranges(requests.least, requests.most)],
    ...(price === undefined
      ? []
      : [
          [
            'price',
            priceText(price, { atMost: true, but: snapshots.programs === 0 ? '' : 'snapshots' }),
          ] satisfies Row,
        ]),
    ['took', took(summary)],
  ];
}

function lookedAt({ counts, bytes }: RunSummary): string {
  const kinds = [
    countOf(counts.f, 'file'),
    countOf(counts.d, 'folder'),
    ...(counts.l === 0 ? [] : [countOf(counts.l, 'symlink')]),
    ...(counts.s === 0 ? [] : [countOf(counts.s, 'snapshot')]),
  ];
  return `${kinds.join(', ')}: ${formatBytes(bytes)}`;
}

function snapshotsText({ programs, lastBytes }: RunEstimate['snapshots']): string {
  const last = lastBytes === 0 ? '' : `, ${formatBytes(lastBytes)} last time`;
  return `${countOf(programs, 'program')}, not run for this: how much they write is not known${last}`;
}

function doubtful({ warnings }: RunSummary): Row[] {
  const text = doubtfulText(warnings);
  return text === undefined ? [] : [['doubtful', text]];
}

/** Notes are counted apart: most of them are there every night. */
function problems({ counts }: RunSummary): Row[] {
  return [
    ...(counts.problems === 0
      ? []
      : [['problems', `${formatCount(counts.problems)}, ${onLinesAbove(counts.problems)}`] satisfies Row]),
    ...(counts.notes === 0
      ? []
      : [['notes', `${formatCount(counts.notes)}, which leave a run complete`] satisfies Row]),
  ];
}

function took({ seconds, phases }: RunSummary): string {
  return `${formatDuration(seconds)} (${amounts(phases, formatDuration)})`;
}

/** `list 2, put 1 to 13` */
function ranges(least: RequestCounts, most: RequestCounts): string {
  const kinds = Object.entries(most) as [keyof RequestCounts, number][];
  return kinds
    .map(([kind, to]) => {
      const from = least[kind] ?? 0;
      return `${kind} ${from === to ? '' : `${formatCount(from)} to `}${formatCount(to)}`;
    })
    .join(', ');
}

function amounts(
  byName: Readonly<Partial<Record<string, number>>>,
  format: (amount: number) => string,
): string {
  const known = Object.entries(byName).filter(([, amount]) => amount !== undefined && amount > 0);
  if (known.length === 0) return 'none';
  return known.map(([name, amount = 0]) => `${name} ${format(amount)}`).join(', ');
}
