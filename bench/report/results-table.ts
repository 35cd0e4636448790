import { median } from '../measure/statistics.js';
import type { Result, Sample } from '../rounds.js';
import { markdownTable } from './markdown.js';
import { priceOf } from './price.js';
import { dollars, mebibytes, shortNumber } from './quantities.js';

export interface Column {
  title: string;
  cell: (result: Result) => string;
}

export interface TableOptions {
  /** After the seconds. */
  more?: readonly Column[];
  /** How many times as long as ours each took. Default: yes. */
  ratios?: boolean;
}

/**
 * Medians of all rounds. The ratio is the median of the rounds' own ratios, each of two runs that followed each other
 * closely; above 1 the other one took longer than ours.
 */
export function resultsTable(
  results: readonly Result[],
  { more = [], ratios = true }: TableOptions = {},
): string {
  const own = ratios ? results.filter(({ contender, samples }) => contender.isOwn && samples.length > 0) : [];
  const columns: Column[] = [
    { title: 'seconds', cell: (result) => shortNumber(medianOf(result, ({ seconds }) => seconds)) },
    ...own.map((ours) => ({
      title:
        own.length === 1 ? '× ours' : `× ${ours.contender.name.replace(/^s3-sysbackup */, '') || 'ours'}`,
      cell: (result: Result) => shortNumber(ratio(result, ours)),
    })),
    ...more,
    { title: 'CPU s', cell: (result) => shortNumber(medianOf(result, ({ cpu }) => cpu)) },
    { title: 'peak MiB', cell: (result) => mebibytes(medianOf(result, ({ peak }) => peak)) },
    { title: 'stored MiB', cell: (result) => mebibytes(medianOf(result, ({ stored }) => stored)) },
    { title: 'sent MiB', cell: ({ traffic }) => (traffic === undefined ? '' : mebibytes(traffic.sent)) },
    {
      title: 'received MiB',
      cell: ({ traffic }) => (traffic === undefined ? '' : mebibytes(traffic.received)),
    },
    {
      title: 'requests',
      cell: ({ traffic }) => (traffic === undefined ? '' : requestsInWords(traffic.requests)),
    },
    {
      title: 'US$',
      cell: ({ traffic }) => (traffic === undefined ? '' : dollars(priceOf(traffic.requests))),
    },
  ];
  const rows = results.map((result) =>
    result.failure === undefined
      ? [result.contender.name, ...columns.map(({ cell }) => cell(result))]
      : [result.contender.name, 'failed', ...columns.slice(1).map(() => '')],
  );
  // Without columns in which nobody has anything.
  const kept = columns.map((_, index) => rows.some((row) => (row[index + 1] ?? '') !== ''));
  const keep = (row: readonly string[]): string[] => row.filter((_, index) => index === 0 || kept[index - 1]);
  return markdownTable(keep(['', ...columns.map(({ title }) => title)]), rows.map(keep));
}

/** Of all its rounds; NaN where it has none. */
export function medianOf({ samples }: Result, pick: (sample: Sample) => number | undefined): number {
  return median(samples.map(pick).filter((value) => value !== undefined));
}

function ratio(result: Result, ours: Result): number {
  return median(
    result.samples.flatMap((sample, round) => {
      const other = ours.samples[round];
      return other === undefined ? [] : [sample.seconds / other.seconds];
    }),
  );
}

/** `put 12, list 3`. */
export function requestsInWords(requests: Readonly<Partial<Record<string, number>>>): string {
  return Object.entries(requests)
    .toSorted(([, a = 0], [, b = 0]) => b - a)
    .map(([kind, count = 0]) => `${kind} ${count.toLocaleString('en-US')}`)
    .join(', ');
}
