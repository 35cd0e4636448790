import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { resolveRun } from '#src/manifest/resolve-run.js';
import type { RestoreSummary } from '#src/restore/options.js';
import { restore } from '#src/restore/restore.js';
import type { ObjectStore } from '#src/store/port.js';
import { md5Of } from './bodies.js';
import { temporaryFolder } from './temporary.js';

/** All below a folder: by path what it is, with its mode, its time and its bytes' MD5 or its target. */
export function treeOf(folder: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const visit = (path: string, name: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const what = stat.isDirectory() ? 'd' : stat.isSymbolicLink() ? 'l' : 'f';
    const bytes = what === 'f' ? md5Of(readFileSync(path)) : what === 'l' ? readlinkSync(path) : '';
    tree[name] = `${what} ${(Number(stat.mode) & 0o7777).toString(8)} ${stat.mtimeNs} ${bytes}`;
    if (what !== 'd') return;
    for (const child of readdirSync(path)) visit(join(path, child), join(name, child));
  };
  visit(folder, '.');
  return tree;
}

export interface Restored {
  summary: RestoreSummary;
  /** What came back of the folder that was backed up; undefined where it did not come back at all. */
  tree: Record<string, string>;
  warnings: string[];
}

/** Restores what `run` means (a run id, or `latest`) into a new folder, and looks at what came of `source`. */
export async function restoreTree(store: ObjectStore, source: string, run = 'latest'): Promise<Restored> {
  const warnings: string[] = [];
  const found = await resolveRun(store, run, {
    onEvent: (event) => event.type === 'log' && event.level === 'warning' && warnings.push(event.message),
  });
  const folder = temporaryFolder();
  const target = join(folder, 'target');
  const summary = await restore({
    store,
    run: found,
    target,
    spoolFolder: mkdtempSync(join(folder, 'spool-')),
    numericOwners: true,
  });
  return { summary, tree: treeOf(join(target, source)), warnings };
}
