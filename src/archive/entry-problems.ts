import { LARGEST_SUM } from '../add-up.js';
import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import type { LineFault } from '../manifest/line-fault.js';
import type { ManifestEntry } from '../manifest/types.js';
import { type FileStat, lstat } from '../files/stat.js';
import type { FileWarning } from '../manifest/types.js';

/** What is said of a path that is gone or has become something else, and by some file systems of one that is there. */
const MAY_BE_GONE = new Set([
  'ENOENT',
  'ENOTDIR',
  'ESTALE', // on a file server
  'ESRCH', // below /proc
  // A symlink, a socket or a device in a file's place, and what is no symlink in that of one.
  'ELOOP',
  'ENXIO',
  'NOT_REGULAR',
  'EINVAL',
]);
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/** Whether this may have been said of a path only since it is not any more what it was. */
export function mayBeGone(code: string): boolean {
  return MAY_BE_GONE.has(code);
}

/**
 * A path that was picked and cannot be read. That it went away meanwhile, or became something else, is noted, and only
 * if that is so; everything else is a failure.
 *
 * @param picked what it was; a regular file may be another one by now
 */
export function unreadable(path: BytePath, picked: FileStat, code: string, reason = code): Problem {
  const shown = displayPath(path);
  const now = mayBeGone(code) ? lstat(path) : undefined;
  if (now !== undefined && hasGone(picked, now))
    return { severity: 'note', code: 'vanished', message: `${shown}: was removed during the run`, path };
  const though = typeof now === 'object' ? ', although it is there' : '';
  const message = `${shown}: cannot be read (${reason}${though})`;
  return { severity: 'failure', code: 'unreadable', message, path };
}

function hasGone(picked: FileStat, now: FileStat | string): boolean {
  if (typeof now === 'string') return GONE.has(now);
  if (picked.kind === 'file' && now.kind === 'file') return false;
  return now.inodeId !== picked.inodeId || now.kind !== picked.kind;
}

const WARNINGS: Record<FileWarning, string> = {
  'changed-while-reading':
    'was changed while it was read, and again when it was read once more: the copy may be torn or cut short',
  'unlocked-copy': 'was copied without its lock, which could not be had: perhaps in the middle of a change',
};

/** A copy that may not be what the file was at any one time: it is in the backup, and should be known. */
export function doubtfulCopy(path: BytePath, warning: FileWarning): Problem {
  const message = `${displayPath(path)}: ${WARNINGS[warning]}`;
  return { severity: 'note', code: warning, message, path };
}

/** A path whose line no reader would take: without it all others can be restored. */
export function refusedLine(path: BytePath, fault: LineFault, entry?: ManifestEntry): Problem {
  const cure = entry === undefined ? '' : cureOf(entry);
  const message = `${displayPath(path)}: is not in this backup: its line in the manifest ${fault.message}${cure}`;
  return { severity: 'failure', code: 'line-refused', message, path };
}

/** What makes a line long, and how it becomes shorter. */
export function cureOf(entry: ManifestEntry): string {
  if ('dat' in entry && Array.isArray(entry.dat))
    return ` (it names ${entry.dat.length} blocks: a larger [content] block_size makes fewer)`;
  const attributes = 'xattr' in entry ? Object.keys(entry.xattr ?? {}).length : 0;
  return attributes === 0 ? '' : ` (it has ${attributes} extended attributes)`;
}

/** Its stated size is more than a manifest can hold, and reading that much would take years. */
export function tooLarge(path: BytePath, size: number): Problem {
  const message = `${displayPath(path)}: is not in this backup: it says that it has ${size} bytes, and no manifest holds more than ${LARGEST_SUM}`;
  return { severity: 'failure', code: 'too-large', message, path };
}
