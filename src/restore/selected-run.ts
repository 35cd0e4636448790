import type { EventListener } from '../events.js';
import { entryPath } from '../manifest/paths.js';
import { type FetchedManifest, fetchManifest } from '../manifest/fetch.js';
import type { ManifestLine } from '../manifest/types.js';
import type { FoldedPaths } from './folded-paths.js';
import type { RestoreOptions } from './options.js';
import type { PathPatterns } from './path-patterns.js';
import { isPathEntry, Selection, type SelectionPlan } from './select.js';

/**
 * Fetches a run's manifest and finds out what the patterns select of it. It is read once; where a pattern may be a glob
 * or literally a path with brackets in its name, which only the whole run can tell, its local copy is read once more.
 */
export async function fetchSelected(
  { store, run, signal, onEvent }: Pick<RestoreOptions, 'store' | 'run' | 'signal' | 'onEvent'>,
  spool: string,
  patterns: PathPatterns,
  plan?: SelectionPlan,
  folded?: FoldedPaths,
): Promise<{ manifest: FetchedManifest; selection: Selection }> {
  const selection = new Selection(patterns, onEvent, plan, folded);
  if (!patterns.mayBeLiteral) {
    const manifest = await fetchManifest(store, run, spool, { onLines: selection.count, signal });
    return { manifest, selection };
  }
  const look = lookAtAll(patterns, onEvent);
  const manifest = await fetchManifest(store, run, spool, { onLines: look, signal });
  for await (const lines of manifest.lines(signal)) selection.count(lines);
  return { manifest, selection };
}

function lookAtAll(patterns: PathPatterns, onEvent: EventListener | undefined) {
  let seen = 0;
  return (lines: readonly ManifestLine[]): void => {
    for (const line of lines) if (isPathEntry(line)) patterns.look(entryPath(line));
    seen += lines.length;
    onEvent?.({ type: 'progress', phase: 'prepare', entries: seen, bytes: 0 });
  };
}
