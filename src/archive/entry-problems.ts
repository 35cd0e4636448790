import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';

const GONE = new Set(['ENOENT', 'ENOTDIR', 'NOT_REGULAR', 'ELOOP']);

/** A file that went away between picking and reading, or became something else, is noted; the rest are failures. */
export function unreadable(path: BytePath, code: string, reason = code): Problem {
  const shown = displayPath(path);
  if (GONE.has(code))
    return { severity: 'note', code: 'vanished', message: `${shown}: was removed during the run`, path };
  return { severity: 'failure', code: 'unreadable', message: `${shown}: cannot be read (${reason})`, path };
}
