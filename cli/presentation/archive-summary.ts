import type { RunSummary } from '../../src/index.js';
import { printable } from './printable.js';
import { countOf, formatBytes, formatCount, formatDuration, formatTime } from './quantities.js';

/** What a run did, for a person. `storeName` is where. */
export function archiveSummary(summary: RunSummary, storeName: string): string[] {
  const { backup, run, outcome, manifest, counts, bytes, read, stored, requests, phases } = summary;
  const dry = manifest === undefined;
  const rows: [string, string][] = [
    [
      'looked at',
      `${countOf(counts.f, 'file')}, ${countOf(counts.d, 'folder')}, ${countOf(counts.l, 'symlink')}, ` +
        `${countOf(counts.s, 'snapshot')}: ${formatBytes(bytes)}`,
    ],
    [dry ? 'would read' : 'read', `${countOf(read.files, 'file')}, ${formatBytes(read.bytes)}`],
  ];
  if (!dry) {
    rows.push(
      ['stored', `${countOf(stored.objects, 'new object')}, ${formatBytes(stored.bytes)}`],
      [
        're-used',
        countOf(summary.reused, 'content that was stored already', 'contents that were stored already'),
      ],
      ['renewed', countOf(summary.renewed, 'lock')],
    );
  }
  if (counts.problems > 0) rows.push(['problems', `${formatCount(counts.problems)}, each on a line above`]);
  rows.push(
    ['requests', amounts(requests, formatCount)],
    ['took', `${formatDuration(summary.seconds)} (${amounts(phases, formatDuration)})`],
  );
  if (!dry) {
    rows.push(['manifest', `${manifest.key} in ${storeName}`]);
    rows.push([
      'locked',
      summary.lockedUntil === undefined
        ? 'no: this store has no locks'
        : `until ${formatTime(summary.lockedUntil)}`,
    ]);
  }
  const title = dry ? `${backup}: dry run, nothing was stored` : `${backup}: run ${run} is ${outcome}`;
  return [title, ...rows.map(([name, text]) => `  ${name.padEnd(10)}  ${text}`)].map(printable);
}

function amounts(
  byName: Readonly<Partial<Record<string, number>>>,
  format: (amount: number) => string,
): string {
  const known = Object.entries(byName).filter(([, amount]) => amount !== undefined && amount > 0);
  if (known.length === 0) return 'none';
  return known.map(([name, amount = 0]) => `${name} ${format(amount)}`).join(', ');
}
