import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathFromText } from '#src/files/byte-path.js';
import { SafeDir } from '#src/files/safe-dir.js';

/** A temporary folder, and a handle of it. The caller closes one and removes the other. */
export function openedFolder(): { folder: string; dir: SafeDir } {
  const folder = mkdtempSync(join(tmpdir(), 'opened-folder-'));
  const dir = SafeDir.openTarget(pathFromText(folder));
  if (typeof dir === 'string') throw new Error(dir);
  return { folder, dir };
}
