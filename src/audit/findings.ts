import { type BytePath, pathFromText } from '../files/byte-path.js';
import { versionName } from '../manifest/keys.js';
import { entryPath } from '../manifest/paths.js';
import { type ManifestStore, readManifest } from '../manifest/reader.js';
import type { ManifestLine } from '../manifest/types.js';
import type { Retention } from '../store/port.js';
import { referencesOf } from './named-versions.js';
import { keeps, lockDate } from './promise.js';
import type { Finding, FindingKind, VerifiedRun } from './verify-options.js';
import type { VersionTable } from './version-table.js';

export const FINDINGS_KEPT = 1000;
/** With the findings, of all of them together: some 30 MB. */
const PATHS_KEPT = 200_000;

/** What is known of a version: the `flags` column. */
export const FOUND = 1;
export const DAMAGED = 2;
export const UNREADABLE = 4;
export const SHORT = 8;
/** Its lock was asked for, and is in COMPLIANCE mode. */
export const ASKED = 16;
export const HELD_IN_COMPLIANCE = 32;
/** Some run promises COMPLIANCE mode. */
export const NEEDS_COMPLIANCE = 64;
/** Its data is there, without a readable sidecar. */
export const HIDDEN = 128;

/** Everything found, counted; the first thousand in full. */
export class Findings {
  readonly counts: Record<FindingKind, number> = {
    manifest: 0,
    missing: 0,
    hidden: 0,
    damaged: 0,
    unreadable: 0,
    short: 0,
  };
  readonly kept: Finding[] = [];
  /** Why a row counts as damaged or unreadable, of the first ones. */
  readonly reasons = new Map<number, string>();
  /** What was done about a row, likewise. */
  readonly #done = new Map<number, string>();

  add(finding: Finding): void {
    this.counts[finding.kind] += 1;
    if (this.kept.length < FINDINGS_KEPT) this.kept.push(finding);
  }

  explain(row: number, reason: string): void {
    if (this.reasons.size < FINDINGS_KEPT) this.reasons.set(row, reason);
  }

  /** What was done about a row. */
  note(row: number, done: string): void {
    if (this.#done.size < FINDINGS_KEPT) this.#done.set(row, done);
  }

  /** Makes a finding of each row that is flagged. Returns those kept, by row. */
  addRows(table: VersionTable): Map<number, Finding> {
    const byRow = new Map<number, Finding>();
    for (let row = 0; row < table.count; row++) {
      const kind = kindOf(table.flags[row] ?? 0);
      if (kind === undefined) continue;
      if (this.kept.length >= FINDINGS_KEPT) {
        this.counts[kind] += 1;
        continue;
      }
      const finding = this.#findingOf(table, row, kind);
      this.add(finding);
      byRow.set(row, finding);
    }
    return byRow;
  }

  #findingOf(table: VersionTable, row: number, kind: FindingKind): Finding {
    const [key, version] = [table.key(row), table.version(row)];
    const lock = lockOf(table, row);
    const message = this.reasons.get(row) ?? messageOf(kind, key, version, lock, table.needed[row] ?? 0);
    return { kind, key, version, message, done: this.#done.get(row), lock, paths: [], pathCount: 0 };
  }
}

function kindOf(flags: number): FindingKind | undefined {
  if ((flags & FOUND) === 0) return (flags & HIDDEN) === 0 ? 'missing' : 'hidden';
  if ((flags & DAMAGED) !== 0) return 'damaged';
  if ((flags & UNREADABLE) !== 0) return 'unreadable';
  return (flags & SHORT) !== 0 ? 'short' : undefined;
}

function messageOf(
  kind: FindingKind,
  key: string,
  version: string,
  lock: Retention | undefined,
  needed: number,
): string {
  const what = versionName(key, version);
  if (kind === 'missing') return `${what} does not exist`;
  if (kind === 'hidden')
    return `${what} is there, but its sidecar is missing or cannot be read: nothing tells its lock`;
  if (kind !== 'short') return `${what} cannot be read`;
  if (lock === undefined) return `${what} is not locked, and should be until ${lockDate(needed)}`;
  if (lock.until >= needed) return `${what} is locked in ${lock.mode} mode only`;
  return `${what} is locked until ${lockDate(lock.until)}, and should be until ${lockDate(needed)}`;
}

/** The lock a version was found to have; undefined where it has none or was not asked. */
export function lockOf(table: VersionTable, row: number): Retention | undefined {
  const until = table.until[row] ?? 0;
  if (until === 0) return undefined;
  return { mode: ((table.flags[row] ?? 0) & HELD_IN_COMPLIANCE) === 0 ? 'GOVERNANCE' : 'COMPLIANCE', until };
}

/** Reads a run's manifest once more, and adds the paths that depend on what was found. */
export async function addPaths(
  store: ManifestStore,
  run: VerifiedRun,
  table: VersionTable,
  byRow: ReadonlyMap<number, Finding>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let room = PATHS_KEPT;
  for (const { paths } of byRow.values()) room -= paths.length;
  for await (const lines of readManifest(store, run.key, run.version, { signal })) {
    for (const line of lines) {
      const rows = new Set(referencesOf(line).map(({ version }) => table.find(version)));
      for (const row of rows) {
        const finding = byRow.get(row);
        // A lock too short for one run may be long enough for another.
        if (finding === undefined || (finding.kind === 'short' && isKept(run, finding))) continue;
        addPath(finding, run, line, room > 0);
        room -= 1;
      }
    }
  }
}

function isKept(run: VerifiedRun, finding: Finding): boolean {
  return run.state === 'lapsed' || run.promise === undefined || keeps(finding.lock, run.promise);
}

/** Notes that a line of a run depends on what was found. `kept`: whether there is room for its path. */
export function addPath(
  finding: Finding,
  { backup, run }: VerifiedRun,
  line: ManifestLine,
  kept = true,
): void {
  finding.pathCount += 1;
  if (kept) finding.paths.push({ backup, run, path: nameOf(line) });
}

function nameOf(line: ManifestLine): BytePath {
  if (line.typ === 's') return pathFromText(line.name);
  return entryPath(line as { path?: string; path64?: string });
}
