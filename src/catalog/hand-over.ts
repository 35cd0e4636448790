import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CURRENT, type StateFolder, syncFolder } from './state-folder.js';

/**
 * Moves the catalog of one state folder, its journal, or both, to another one that has none. Both are locked by this
 * process. Wherever it is interrupted, one of them has the whole catalog.
 */
export function handOver(
  from: StateFolder,
  to: StateFolder,
  what: { catalog: boolean; journal: boolean },
): void {
  if (what.journal) renameSync(from.journalPath, to.journalPath);
  if (what.catalog) {
    const generation = readFileSync(join(from.path, CURRENT), 'utf8').trim();
    const [old, made] = [join(from.path, generation), join(to.path, generation)];
    rmSync(made, { recursive: true, force: true });
    mkdirSync(made, { mode: 0o700 });
    for (const name of readdirSync(old)) linkSync(join(old, name), join(made, name));
    syncFolder(made);
    const next = join(to.path, `${CURRENT}.new`);
    writeFileSync(next, `${generation}\n`, { mode: 0o600, flush: true });
    renameSync(next, join(to.path, CURRENT));
    syncFolder(to.path);
    rmSync(join(from.path, CURRENT), { force: true });
    rmSync(old, { recursive: true, force: true });
  }
}
