import type { RestoreSummary } from '../../src/index.js';
import { type Frozen, frozenLines, jsonOfFrozen } from '../restore/thaw-frozen.js';
import type { Through, ThroughSnapshots } from '../restore/through.js';
import { onLinesAbove } from './line-limit.js';
import { doubtfulText } from './doubtful-copies.js';
import { printable } from './printable.js';
import { countOf, formatBytes, formatCount } from './quantities.js';

/** What a restore did: files, snapshots or both, each with the folder they went to. */
export interface Restored {
  /** What has to be thawed before it can be restored. */
  frozen?: Frozen;
  files?: RestoreSummary & { target: string };
  /** `file` is undefined where it went to standard output. */
  tar?: RestoreSummary & { file: string | undefined };
  snapshots?: ThroughSnapshots & { into: string };
}

export function restoreSummary({ files, tar, snapshots, frozen }: Restored): string[] {
  const lines: string[] = [];
  if (files !== undefined)
    lines.push(...fileLines(files, files.target === '/' ? 'to where it came from' : `to ${files.target}`));
  if (tar !== undefined)
    lines.push(...fileLines(tar, `as a tar${tar.file === undefined ? '' : ` to ${tar.file}`}`));
  if (snapshots !== undefined) lines.push(...snapshotLines(snapshots));
  if (frozen !== undefined) lines.push(...frozenLines(frozen));
  return lines.map(printable);
}

/** The last line of `--json`. */
export function jsonOfRestore({ files, tar, snapshots, frozen }: Restored): object {
  return {
    type: 'summary',
    // Each problem was a line of its own, and is not repeated.
    ...(files === undefined ? {} : { ...files, problems: undefined }),
    ...(tar === undefined ? {} : { ...tar, problems: undefined }),
    ...(snapshots === undefined
      ? {}
      : {
          snapshots: {
            into: snapshots.into,
            restored: snapshots.restored.map((one) => ({ ...one, through: snapshots.through.get(one.name) })),
            problems: snapshots.problems.length,
          },
        }),
    ...(frozen === undefined ? {} : { frozenObjects: jsonOfFrozen(frozen) }),
  };
}

/** 0: all; 3: some paths or snapshots were not restored; 1: nothing was. */
export function exitCodeOfRestore({ files: toFolder, tar, snapshots }: Restored): number {
  const files = toFolder ?? tar;
  const done = restoredPaths(files) + (snapshots?.restored.length ?? 0);
  if (done === 0) return 1;
  const missing =
    (files?.problemCounts.failure ?? 0) +
    (files?.problemCounts.broken ?? 0) +
    (snapshots?.problems.filter(({ severity }) => severity !== 'note').length ?? 0);
  return missing > 0 ? 3 : 0;
}

function restoredPaths(files: RestoreSummary | undefined): number {
  if (files === undefined) return 0;
  const { d, l, f } = files.selected;
  return Math.max(0, d + l + f - files.failed);
}

function fileLines(files: RestoreSummary, where: string): string[] {
  const { backup, run, dryRun, selected, done, failed, frozen, bytes, requests, problemCounts } = files;
  const title = dryRun ? 'dry run, nothing was written' : `restored ${where}`;
  const rows: [string, string][] = [
    [
      'selected',
      `${countOf(selected.f, 'file')}, ${countOf(selected.d, 'folder')}, ${countOf(selected.l, 'symlink')}`,
    ],
    [
      dryRun ? 'would do' : 'done',
      `${formatCount(done.create)} created, ${formatCount(done.replace)} replaced, ${formatCount(done.link)} linked, ` +
        `${formatCount(done['set-metadata'])} given metadata only, ${formatCount(done.keep)} kept`,
    ],
    [dryRun ? 'would fetch' : 'fetched', `${formatBytes(bytes)} of content, ${countOf(requests, 'request')}`],
  ];
  if (failed > frozen)
    rows.push(['failed', `${countOf(failed - frozen, 'path')}, ${onLinesAbove(failed - frozen)}`]);
  const doubtful = doubtfulText(files.warnings);
  if (doubtful !== undefined) rows.push(['doubtful', `in the backup: ${doubtful}`]);
  if (frozen > 0) rows.push(['frozen', `${countOf(frozen, 'file')}, see below`]);
  const other = problemCounts.failure + problemCounts.broken - (failed - frozen) - (frozen > 0 ? 1 : 0);
  if (other > 0) rows.push(['incomplete', `${countOf(other, 'more problem')}, ${onLinesAbove(other)}`]);
  if (selected.d + selected.l + selected.f === 0) rows.push(['nothing', 'of this run was selected']);
  return [`${backup}: run ${run} ${title}`, ...rows.map(([name, text]) => `  ${name.padEnd(11)}  ${text}`)];
}

function snapshotLines({
  run,
  restored,
  problems,
  through,
  into,
}: ThroughSnapshots & { into: string }): string[] {
  const lines = [`${countOf(restored.length, 'snapshot')} of run ${run} restored to ${into}`];
  for (const { name, size, restoreThrough } of restored) {
    lines.push(`  ${name}  ${formatBytes(size)}`);
    if (restoreThrough !== undefined)
      lines.push(`    ${THROUGH[through.get(name) ?? 'not-run']}: ${restoreThrough}`);
  }
  if (problems.length > 0)
    lines.push(`  ${countOf(problems.length, 'problem')}, ${onLinesAbove(problems.length)}`);
  return lines;
}

const THROUGH: Record<Through | 'not-run', string> = {
  done: 'restored through its command',
  failed: 'its command FAILED',
  declined: 'its command was not run',
  'not-run': 'it asks to be restored through this command, which was not run',
};
