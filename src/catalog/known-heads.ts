import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogHead } from './head.js';
import { readHead } from './objects-file.js';
import { CURRENT, HEAD } from './state-folder.js';

const MARK = /^[0-9a-f]{12}$/;

/**
 * What the catalogs of a backup name say of themselves, one for each store that this machine has stored in. Takes no lock
 * and changes nothing: for whoever only shows it. What cannot be read is passed over.
 */
export function knownHeads(statePath: string, backupName: string): CatalogHead[] {
  const begin = `${backupName}-`;
  return namesIn(statePath).flatMap((name) => {
    if (!name.startsWith(begin) || !MARK.test(name.slice(begin.length))) return [];
    try {
      const folder = join(statePath, name);
      const head = readHead(join(folder, readFileSync(join(folder, CURRENT), 'utf8').trim(), HEAD));
      return head.backupName === backupName ? [head] : [];
    } catch {
      return [];
    }
  });
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
