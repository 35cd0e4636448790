import { LARGEST_SUM } from '../add-up.js';
import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import type { LineFault } from '../manifest/line-fault.js';
import type { ManifestEntry } from '../manifest/types.js';

const GONE = new Set(['ENOENT', 'ENOTDIR', 'NOT_REGULAR', 'ELOOP']);

/** A file that went away between picking and reading, or became something else, is noted; the rest are failures. */
export function unreadable(path: BytePath, code: string, reason = code): Problem {
  const shown = displayPath(path);
  if (GONE.has(code))
    return { severity: 'note', code: 'vanished', message: `${shown}: was removed during the run`, path };
  return { severity: 'failure', code: 'unreadable', message: `${shown}: cannot be read (${reason})`, path };
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
