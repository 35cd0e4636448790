import { join } from 'node:path';
import { rememberIdentity } from '../catalog/known-stores.js';
import type { StateFolder } from '../catalog/state-folder.js';
import { abortedError, throwIfAborted } from '../errors.js';
import { judged, withRun } from '../manifest/run-history.js';
import { OwnMemory } from '../own-memory.js';
import { historyBefore, warnOfRunAhead } from './history.js';
import { hostRenamed } from './host-renamed.js';
import { bundleBelowOf } from './bundle-below.js';
import { manifestPrefix } from '../manifest/keys.js';
import { headerLine, storeManifest } from './manifest-ends.js';
import { openState } from './open-state.js';
import type { ArchiveOptions, RunSummary } from './options.js';
import { Picking } from './pick.js';
import { priceOfRun } from './price.js';
import { ProblemLog } from './problem-log.js';
import { recall } from './recall.js';
import { remember } from './remember.js';
import { toBeWatched, watchRenewal } from './renewal-watch.js';
import { requireSources } from './require-sources.js';
import { takeSnapshots } from './snapshots.js';
import { Stopwatch } from './stopwatch.js';
import { checkObjectLock, warnOfClock } from './store-check.js';
import { Tally } from './tally.js';
import { shownCounts, totalsOf } from './totals.js';
import { type RunStart, Workshop } from './workshop.js';
import { writeEntries } from './write-entries.js';

/**
 * One run: pick, join with the catalog, store what is new, renew what is due, and at the very end the manifest.
 * Resolves when the manifest is stored and the catalog has taken its place; a run that fails or is stopped leaves
 * the old catalog and the journal, so that the next one sends nothing twice.
 *
 * Throws RUN_LOCKED, ACCESS_DENIED, NOT_FOUND (no such bucket), STORE_UNSUITABLE, STORE_FAILED, LIMIT, ABORTED, CONFIG
 * (no executable at all, or one that others could change) and SYSTEM. What concerns single paths is a problem in the
 * manifest instead.
 */
export async function archive(options: ArchiveOptions): Promise<RunSummary> {
  const { settings, store, onEvent = () => undefined } = options;
  await requireSources(settings.confDir, options.uid);
  const state = await openState({ settings, store, dryRun: options.dryRun });
  if (options.dryRun !== true) rememberIdentity(settings.statePath, store.identity);
  const watch = new Stopwatch(onEvent);
  try {
    watch.begin('prepare');
    const problems = new ProblemLog(join(state.spoolPath, 'problems'), onEvent);
    const picking = new Picking({ options, state, problems });
    try {
      const start = await begin(options, state, problems);
      return await (options.dryRun === true ? look(start, picking, watch) : run(start, picking, watch));
    } finally {
      await picking.stop();
    }
  } finally {
    state.close({
      untouched: options.dryRun,
      warn: (message) => onEvent({ type: 'log', level: 'warning', message }),
    });
  }
}

async function begin(options: ArchiveOptions, state: StateFolder, problems: ProblemLog): Promise<RunStart> {
  const { settings, store, onEvent = () => undefined } = options;
  const renamed = hostRenamed({ settings, store, systemIdPath: options.systemIdPath });
  if (renamed !== undefined) onEvent({ type: 'log', level: 'warning', message: renamed });
  const recalled = await recall(state, store, settings.backupName, onEvent);
  // A lock, once there, cannot be taken off a bucket; its lack was allowed by settings that may have changed.
  const objectLock =
    recalled.catalog?.head.objectLock === true || (await checkObjectLock(store, settings.destination));
  // Keys whose policy bounds listings may list this.
  const startMs = await store.now(manifestPrefix(settings.backupName));
  warnOfClock(startMs, Date.now(), onEvent);
  warnOfRunAhead(recalled.catalog?.head, startMs, onEvent);
  const { history, hasRuns } = await historyBefore(recalled, store, settings.backupName, startMs);
  const bundleBelow = await bundleBelowOf(settings, recalled.catalog?.head, store, hasRuns);
  const known = { problems, recalled, startMs, objectLock, history, bundleBelow };
  return { options, state, store, onEvent, ...known };
}

/** A dry run: picks and joins, and says what would come of it. */
async function look(start: RunStart, picking: Picking, watch: Stopwatch): Promise<RunSummary> {
  const { options, problems } = start;
  const { destination, backupName } = options.settings;
  const tally = new Tally(start.onEvent);
  watch.begin('pick');
  const picked = await picking.picked(start.recalled.catalog?.head);
  watch.begin('content');
  const { estimate } = await import('./dry-run.js');
  const foreseen = await estimate(start, picked, tally);
  const { stored, requests } = foreseen.estimate;
  const price = priceOfRun({ requests: requests.most, stored }, destination);
  const totals = totalsOf(tally, problems, []);
  return {
    ...totals,
    ...foreseen,
    counts: shownCounts(totals, problems),
    ...judged(start.history, start.startMs),
    backup: backupName,
    run: '',
    outcome: problems.outcome,
    manifest: undefined,
    warnings: tally.warnings,
    requests: options.requests?.() ?? {},
    ...(price === undefined ? {} : { price }),
    lockedUntil: undefined,
    ...watch.end(),
  };
}

async function run(start: RunStart, picking: Picking, watch: Stopwatch): Promise<RunSummary> {
  const workshop = await Workshop.open(start);
  try {
    const summary = await work(workshop, picking, watch);
    await workshop.close();
    return summary;
  } catch (error) {
    await workshop.abandon();
    if (start.options.signal?.aborted !== true) throw error;
    throw abortedError(error);
  }
}

async function work(workshop: Workshop, picking: Picking, watch: Stopwatch): Promise<RunSummary> {
  const { start, identity, locks, classes, lockKeeper, objects, spool } = workshop;
  const { options, problems, onEvent } = start;
  const { settings, signal } = options;
  const tally = new Tally(onEvent);
  const watched = await watchRenewal(start);
  const { length: entriesAt } = await spool.append(
    OwnMemory.of(headerLine(identity, options, locks, classes)),
  );

  watch.begin('pick');
  const picked = await picking.picked(start.recalled.catalog?.head);
  watch.begin('content');
  const written = await writeEntries(workshop, picked, tally);
  watch.begin('snapshots');
  const snapshots = await takeSnapshots(workshop);
  watch.begin('manifest');
  throwIfAborted(signal);
  await lockKeeper.keepUp();
  const until = problems.outcome === 'broken' ? locks.needed : await lockKeeper.keepForClasses(classes);
  const { outcome } = problems;
  const totals = totalsOf(tally, problems, snapshots, objects);
  const requests = options.requests?.() ?? {};
  const manifest = await storeManifest(workshop, { ...totals, outcome, requests }, snapshots, until);
  const head = start.recalled.catalog?.head;
  const history = withRun(start.history, identity.startMs, outcome);
  workshop.isRemembered = remember(workshop, written.order, {
    format: 3,
    store: start.store.identity,
    backupName: settings.backupName,
    machine: identity.machine,
    run: identity.run,
    manifest,
    entriesAt,
    manifestUntil: until,
    turn: (head?.turn ?? 0) + 1,
    pickers: picked.printed,
    missing: picked.missing,
    snapshots: Object.fromEntries(snapshots.map(({ name, size = 0 }) => [name, size])),
    classes: {
      ...head?.classes,
      ...(outcome === 'broken' ? {} : Object.fromEntries(classes.map(({ name, period }) => [name, period]))),
    },
    users: written.names.users,
    groups: written.names.groups,
    objectLock: start.objectLock,
    bundleBelow: start.bundleBelow.value,
    watched: watched ?? toBeWatched(start, manifest, until),
    ...history,
  });
  const sent = options.requests?.() ?? {};
  const stored = totalsOf(tally, problems, snapshots, objects);
  // Nobody bills a directory.
  const price =
    settings.destination.kind === 's3'
      ? priceOfRun({ requests: sent, stored: stored.stored }, settings.destination)
      : undefined;
  return {
    ...stored,
    counts: shownCounts(stored, problems),
    ...judged(history, start.startMs),
    backup: settings.backupName,
    run: identity.run,
    outcome,
    manifest,
    read: tally.read,
    warnings: tally.warnings,
    reused: objects.reused + written.reused,
    renewed: objects.renewed,
    requests: sent,
    ...(price === undefined ? {} : { price }),
    lockedUntil: locks.mode === undefined ? undefined : new Date(until * 1000).toISOString(),
    ...watch.end(),
  };
}
