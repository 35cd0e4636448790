import type { FetchedManifest } from '../manifest/fetch.js';
import type { RestoreSummary } from './options.js';
import type { RestoreReport } from './report.js';

/** What a restore of this run came to. */
export function summaryOf(
  { header, footer }: FetchedManifest,
  report: RestoreReport,
  requests: number,
  dryRun: boolean,
): RestoreSummary {
  const { selected, warnings, done, failed, frozen, bytes, notSet, unmatched, problems, problemCounts } =
    report;
  return {
    backup: header.backup,
    run: header.run,
    outcome: footer.outcome,
    dryRun,
    selected,
    warnings,
    done,
    failed,
    frozen,
    bytes: dryRun ? report.planned.bytes : bytes,
    requests: dryRun ? report.planned.requests : requests,
    notSet,
    unmatched,
    problems,
    problemCounts,
  };
}
