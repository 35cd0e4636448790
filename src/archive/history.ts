import type { CatalogHead } from '../catalog/head.js';
import type { EventListener } from '../events.js';
import { isAhead, nowText } from '../manifest/ahead.js';
import { parseRunId } from '../manifest/keys.js';
import { historyOf, type RunHistory, withRun } from '../manifest/run-history.js';
import { isDatedInTheFuture, listRuns } from '../manifest/runs.js';
import type { ObjectStore } from '../store/port.js';
import type { LaterRun } from './fence.js';
import type { Recalled } from './recall.js';

/**
 * How long the backup name had been without a complete run before this one: as the catalog has it, and the runs that
 * the store has and the catalog does not know, as when the catalog could not be written. Where there is no catalog, or
 * one that does not say it, or says a time ahead of now, the name's manifests are listed.
 */
export async function historyBefore(
  { catalog, later }: Pick<Recalled, 'catalog' | 'later'>,
  store: Pick<ObjectStore, 'list'>,
  backup: string,
  nowMs: number,
): Promise<HistoryBefore> {
  const known = catalog && remembered(catalog.head, nowMs);
  if (known !== undefined)
    return { history: later.filter((run) => !isAhead(run, nowMs)).reduce(withListed, known) };
  const runs = await listRuns(store, { backup, withoutOlder: true });
  return { history: historyOf(runs, nowMs), hasRuns: runs.length > 0 };
}

export interface HistoryBefore {
  history: RunHistory;
  /** Whether the store lists any run of the backup name; undefined where it was not asked. */
  hasRuns?: boolean;
}

function withListed(history: RunHistory, run: LaterRun): RunHistory {
  return withRun(history, run.time, isDatedInTheFuture(run) ? 'partial' : run.outcome);
}

function remembered(head: CatalogHead, nowMs: number): RunHistory | undefined {
  const { lastComplete, sinceComplete, firstRun } = head;
  const isKnown = [lastComplete, firstRun].every((time) => time === null || isPast(time, nowMs));
  if (!isKnown || !Number.isSafeInteger(sinceComplete)) return undefined;
  return {
    lastComplete: lastComplete ?? null,
    sinceComplete: sinceComplete ?? 0,
    firstRun: firstRun ?? null,
  };
}

function isPast(time: string | undefined, nowMs: number): boolean {
  const ms = Date.parse(time ?? '');
  return !Number.isNaN(ms) && !isAhead({ received: ms }, nowMs);
}

/** Says so where this machine's last run is dated ahead of the store's time now: one of the two is wrong. */
export function warnOfRunAhead(head: CatalogHead | undefined, nowMs: number, onEvent: EventListener): void {
  if (head === undefined) return;
  const time = parseRunId(head.run)?.time;
  if (time === undefined || !isAhead({ received: time }, nowMs)) return;
  const message =
    `this machine's last run, ${head.run}, is ahead of ${nowText(nowMs)}: that clock was wrong then, or is now. ` +
    'While that run is ahead it is not taken for the newest.';
  onEvent({ type: 'log', level: 'warning', message });
}
