import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SysbackupError } from '../errors.js';
import type { RestoreSummary, RestoreToTarOptions } from './options.js';
import { RestoreReport } from './report.js';
import { PathPatterns } from './path-patterns.js';
import { fetchSelected } from './selected-run.js';
import { summaryOf } from './summary.js';
import { TarWriter } from './tar-writer.js';

/**
 * Writes the files of one run as a tar in the pax format, with all that the manifest has: names as bytes, owners by
 * name and number, times in nanoseconds, ACLs, extended attributes, hard links. Sparse files are plain data.
 *
 * Files up to 4 MiB are found right before they go out; a longer one that turns out wrong or missing on the way is
 * filled up with zeros, since what has gone out cannot be taken back, and is a problem like others.
 *
 * Throws what {@link restore} throws; the tar then lacks its end, and readers say so.
 */
export async function restoreToTar(options: RestoreToTarOptions): Promise<RestoreSummary> {
  const { spoolFolder, onEvent, dryRun = false } = options;
  onEvent?.({ type: 'phase', phase: 'prepare' });
  const patterns = new PathPatterns(options.include, options.exclude);
  const spool = await mkdtemp(join(spoolFolder, 'restore-')).catch((error: unknown) => {
    throw new SysbackupError('SYSTEM', `cannot make a folder in ${spoolFolder}: ${messageOf(error)}`, {
      hint: 'Name another folder for temporary files.',
      cause: error,
    });
  });
  try {
    const { manifest, selection } = await fetchSelected(options, spool, patterns);
    onEvent?.({ type: 'phase', phase: 'restore' });
    selection.whiteouts.tell(onEvent);
    const report = new RestoreReport(options, selection);
    const writer = new TarWriter(options, (path) => patterns.select(path), report);
    await writer.writeAll(manifest);
    report.reportUnmatched(patterns);
    report.tellWhatIsFrozen();
    report.tellProgress();
    return summaryOf(manifest, report, writer.requests, dryRun);
  } finally {
    await rm(spool, { recursive: true, force: true });
  }
}
