import {
  type BytePath,
  type Finding,
  type VerifyResult,
  displayPath,
  documentPath,
} from '../../src/index.js';
import { printable } from './printable.js';
import { jsonOfPath } from './event-json.js';
import { countOf, formatBytes, formatCount, formatTime } from './quantities.js';

/** A verification in lines: what was looked at, what is wrong with all paths that depend on it, what is locked how long. */
export function verificationLines({
  runs,
  versions,
  checked,
  shortest,
  counts,
  findings,
  mended,
}: VerifyResult): string[] {
  const looked = runs.filter(({ state }) => state === 'checked').length;
  const lapsed = runs.filter(({ state }) => state === 'lapsed').length;
  const lines = [
    `${countOf(looked, 'run')} ${looked === 1 ? 'names' : 'name'} ${countOf(versions, 'object')}: ${formatCount(checked.existence)} looked up, ` +
      `${formatCount(checked.locks)} locks asked for, ${formatCount(checked.data)} read (${formatBytes(checked.bytes)})`,
  ];
  if (lapsed > 0) lines.push(`${countOf(lapsed, 'run')} past what was promised, and left out`);
  for (const finding of findings) lines.push(...findingLines(finding));
  for (const { backup, until } of shortest) {
    lines.push(
      `${backup}: the lock that ends first ends ${until === 0 ? 'never: there is none' : formatTime(until * 1000)}`,
    );
  }
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (total > findings.length)
    lines.push(`only the first ${countOf(findings.length, 'object')} of these are listed above`);
  if (mended.sidecars > 0) lines.push(`${countOf(mended.sidecars, 'sidecar')} written again`);
  const again = 'the next archive of each machine stores again what it has of them';
  if (mended.setAside > 0) lines.push(`${countOf(mended.setAside, 'object')} set aside: ${again}`);
  if (mended.noted > 0)
    lines.push(`${countOf(mended.noted, 'missing object')} noted in set-aside/: ${again}`);
  lines.push(
    total === 0
      ? 'nothing is wrong'
      : `${countOf(total, 'object')} ${total === 1 ? 'is not as it' : 'are not as they'} should be`,
  );
  if (total > counts.short) lines.push(`what to do now: ${documentPath('damage.md')}`);
  return lines;
}

function findingLines({ kind, message, done, paths, pathCount }: Finding): string[] {
  const lines = [`${kind}: ${message}`, ...(done === undefined ? [] : [`  ${done}`])];
  for (const [path, runs] of runsByPath(paths))
    lines.push(
      `  ${displayPath(path)}  (${runs.length === 1 ? '' : `${formatCount(runs.length)} runs, the last `}${runs.at(-1)})`,
    );
  const more = pathCount - paths.length;
  if (more > 0) lines.push(`  and ${formatCount(more)} times more in these and other runs`);
  return lines.map(printable);
}

/** A path that many runs name is one line. */
function runsByPath(paths: Finding['paths']): Map<BytePath, string[]> {
  const runs = new Map<BytePath, string[]>();
  for (const { backup, run, path } of paths) {
    const known = runs.get(path);
    if (known) known.push(`${backup}/${run}`);
    else runs.set(path, [`${backup}/${run}`]);
  }
  return runs;
}

/** Paths as `path`, or `path64` where they are no UTF-8; times as ISO 8601. */
export function jsonOfVerification(result: VerifyResult): object {
  return {
    ...result,
    findings: result.findings.map((finding) => ({
      ...finding,
      paths: finding.paths.map(({ backup, run, path }) => ({ backup, run, ...jsonOfPath(path) })),
    })),
    shortest: result.shortest.map(({ until, ...rest }) => ({
      ...rest,
      until: until === 0 ? null : new Date(until * 1000).toISOString(),
    })),
  };
}
