import { type Finding, type VerifyResult, displayPath } from '../../src/index.js';
import { printable } from './printable.js';
import { formatBytes, formatCount, formatTime } from './quantities.js';

const PATHS_SHOWN = 10;

/** A verification in lines: what was looked at, what is wrong with all paths that depend on it, what is locked how long. */
export function verificationLines({
  runs,
  versions,
  checked,
  shortest,
  counts,
  findings,
}: VerifyResult): string[] {
  const looked = runs.filter(({ state }) => state === 'checked').length;
  const lapsed = runs.filter(({ state }) => state === 'lapsed').length;
  const lines = [
    `${formatCount(looked)} runs name ${formatCount(versions)} objects: ${formatCount(checked.existence)} looked up, ` +
      `${formatCount(checked.locks)} locks asked for, ${formatCount(checked.data)} read (${formatBytes(checked.bytes)})`,
  ];
  if (lapsed > 0) lines.push(`${formatCount(lapsed)} runs are past what they promised, and were left out`);
  for (const finding of findings) lines.push(...findingLines(finding));
  for (const { backup, until } of shortest) {
    lines.push(
      `${backup}: the lock that ends first ends ${until === 0 ? 'never: there is none' : formatTime(until * 1000)}`,
    );
  }
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  lines.push(total === 0 ? 'nothing is wrong' : `${formatCount(total)} objects are not as they should be`);
  return lines;
}

function findingLines({ kind, message, paths, pathCount }: Finding): string[] {
  const shown = paths.slice(0, PATHS_SHOWN);
  const more = pathCount - shown.length;
  return [
    printable(`${kind}: ${message}`),
    ...shown.map(({ backup, run, path }) => printable(`  ${backup}/${run}: ${displayPath(path)}`)),
    ...(more > 0 ? [`  and ${formatCount(more)} more paths`] : []),
  ];
}

/** Paths as in manifests' messages; times as ISO 8601. */
export function jsonOfVerification(result: VerifyResult): object {
  return {
    ...result,
    findings: result.findings.map((finding) => ({
      ...finding,
      paths: finding.paths.map(({ backup, run, path }) => ({ backup, run, path: displayPath(path) })),
    })),
    shortest: result.shortest.map(({ until, ...rest }) => ({
      ...rest,
      until: until === 0 ? null : new Date(until * 1000).toISOString(),
    })),
  };
}
