import { baseOf, type BytePath } from '../files/byte-path.js';
import type { SafeDir } from '../files/safe-dir.js';
import type { FileEntry, SymlinkEntry } from '../manifest/types.js';
import type { MetadataSetter } from './metadata.js';
import type { RestoreReport } from './report.js';

interface UpdateWork {
  metadata: MetadataSetter;
  report: RestoreReport;
  dryRun: boolean;
}

/**
 * Sets the metadata of a file or symlink that has the right content, where it differs. What this user or the file
 * system cannot set is not a difference, and is reported as not set.
 *
 * `replace`: it differs, and has other names (`links`), which may lie outside the target, where nothing must change.
 * Where the backup has several names of it too (`id`) they are likely ours, and it stays if there is nothing to set.
 * `failed`: it could not be looked at, which has been reported.
 */
export function updateMetadata(
  path: BytePath,
  entry: FileEntry | SymlinkEntry,
  { dir, links }: { dir: SafeDir; links: number },
  { metadata, report, dryRun }: UpdateWork,
): 'keep' | 'set-metadata' | 'replace' | 'failed' {
  const handle = dir.handle(baseOf(path));
  if (typeof handle === 'string') {
    report.failure('not-restored', path, handle);
    return 'failed';
  }
  try {
    const difference = metadata.compare(handle, entry);
    if (typeof difference === 'string') {
      report.failure('not-restored', path, difference);
      return 'failed';
    }
    if (links > 1 && (difference.canBeSet || entry.id === undefined)) return 'replace';
    if (dryRun || !difference.canBeSet) {
      report.metadataNotSet(path, difference.notSet);
      return difference.canBeSet ? 'set-metadata' : 'keep';
    }
    const { changed, notSet } = metadata.update(handle, entry);
    report.metadataNotSet(path, notSet);
    return changed ? 'set-metadata' : 'keep';
  } finally {
    handle.close();
  }
}
