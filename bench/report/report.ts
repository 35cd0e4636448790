import { availableParallelism, cpus, release, totalmem } from 'node:os';
import type { Report } from '../cases/case.js';
import type { Result } from '../rounds.js';
import type { Tree } from '../trees/tree.js';
import { buildRatios } from './build-ratios.js';
import { mebibytes } from './quantities.js';
import { resultsTable, type TableOptions } from './results-table.js';

/** The table, and what its figures say nothing without: the machine, the files, the store, versions and settings. */
export function reportOf(facts: {
  tree: Tree;
  store: string;
  caches: 'warm' | 'cold';
  rounds: number;
  results: readonly Result[];
  /** What to know about the table. */
  notes?: readonly string[];
  table?: TableOptions;
}): Report {
  const { tree, store, caches, rounds, results, notes = [] } = facts;
  const processor = cpus()[0]?.model ?? 'unknown processor';
  const lines = [
    resultsTable(results, facts.table),
    '',
    ...buildRatios(results),
    ...notes,
    `${rounds} rounds in turn, caches ${caches}, on ${availableParallelism()} processors (${processor}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}.`,
    `Files: ${tree.name}: ${tree.files.toLocaleString('en-US')} files (${mebibytes(tree.bytes)} MiB), ${tree.folders.toLocaleString('en-US')} folders, ${tree.links.toLocaleString('en-US')} links.`,
    `Store: ${store}.`,
    '',
    ...results.map(({ contender }) => `- ${contender.name}: ${contender.version}; ${contender.how}`),
    ...results.flatMap(({ contender, failure }) =>
      failure === undefined ? [] : [`- ${contender.name} FAILED: ${failure}`],
    ),
  ];
  return { text: lines.join('\n'), failed: results.some(({ failure }) => failure !== undefined) };
}
