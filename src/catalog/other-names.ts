import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogHead } from './head.js';
import { readHead } from './objects-file.js';
import { CURRENT, HEAD } from './state-folder.js';

/**
 * What stands in a state directory about one store under backup names other than this one: under which, and by which
 * machine. What cannot be read there is passed over.
 */
export function otherNames(
  statePath: string,
  store: string,
  backupName: string,
): Pick<CatalogHead, 'backupName' | 'machine'>[] {
  return [...heads(statePath)].filter((head) => head.store === store && head.backupName !== backupName);
}

function* heads(statePath: string): Generator<CatalogHead> {
  let folders: string[];
  try {
    folders = readdirSync(statePath);
  } catch {
    return;
  }
  for (const name of folders) {
    const folder = join(statePath, name);
    try {
      yield readHead(join(folder, readFileSync(join(folder, CURRENT), 'utf8').trim(), HEAD));
    } catch {
      // A file, another program's folder, one without a finished run, or a damaged catalog, of which its own run will tell.
    }
  }
}
