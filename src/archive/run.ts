import { join } from 'node:path';
import type { CatalogHead } from '../catalog/head.js';
import { writeHead, writeObjectsFile } from '../catalog/objects-file.js';
import { writePrintOrder } from '../catalog/print-order.js';
import { StateFolder } from '../catalog/state-folder.js';
import { abortedError, throwIfAborted } from '../errors.js';
import { manifestPrefix } from '../manifest/keys.js';
import { headerLine, storeManifest } from './manifest-ends.js';
import type { ArchiveOptions, RunSummary } from './options.js';
import { Picking } from './pick.js';
import { priceOfRun } from './price.js';
import { ProblemLog } from './problem-log.js';
import { recall } from './recall.js';
import { toBeWatched, watchRenewal } from './renewal-watch.js';
import { requireSources } from './require-sources.js';
import { takeSnapshots } from './snapshots.js';
import { Stopwatch } from './stopwatch.js';
import { checkObjectLock, warnOfClock } from './store-check.js';
import { Tally } from './tally.js';
import { totalsOf } from './totals.js';
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
  const state = StateFolder.open(settings.statePath, store.identity, settings.backupName);
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
    state.close();
  }
}

async function begin(options: ArchiveOptions, state: StateFolder, problems: ProblemLog): Promise<RunStart> {
  const { settings, store, onEvent = () => undefined } = options;
  const recalled = await recall(state, store, settings.backupName, onEvent);
  // A lock, once there, cannot be taken off a bucket; its lack was allowed by settings that may have changed.
  const objectLock =
    recalled.catalog?.head.objectLock === true || (await checkObjectLock(store, settings.destination));
  // Keys whose policy bounds listings may list this.
  const startMs = await store.now(manifestPrefix(settings.backupName));
  warnOfClock(startMs, Date.now(), onEvent);
  return { options, state, store, onEvent, problems, recalled, startMs, objectLock };
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
  return {
    ...totalsOf(tally, problems, []),
    ...foreseen,
    backup: backupName,
    run: '',
    outcome: problems.outcome,
    manifest: undefined,
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
  const { length: entriesAt } = await spool.append(headerLine(identity, options, locks, classes));

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
  remember(workshop, written.order, {
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
    watched: watched ?? toBeWatched(start, manifest, until),
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
    backup: settings.backupName,
    run: identity.run,
    outcome,
    manifest,
    read: tally.read,
    reused: objects.reused + written.reused,
    renewed: objects.renewed,
    requests: sent,
    ...(price === undefined ? {} : { price }),
    lockedUntil: locks.mode === undefined ? undefined : new Date(until * 1000).toISOString(),
    ...watch.end(),
  };
}

/** Makes what this run knows the catalog. What a run that saw too little knows of files is not kept for the next. */
function remember({ start, generation }: Workshop, order: Uint32Array, head: CatalogHead): void {
  const { catalog, objects } = start.recalled;
  const broken = start.problems.outcome === 'broken';
  if (broken && catalog !== undefined) {
    start.state.keepEntries(catalog, generation);
    head.entriesAt = catalog.head.entriesAt;
    Object.assign(head.users, { ...catalog.head.users, ...head.users });
    Object.assign(head.groups, { ...catalog.head.groups, ...head.groups });
  } else writePrintOrder(generation.orderPath, order);
  const last = catalog?.objectsPath;
  writeObjectsFile(generation.objectsPath, objects, Math.floor(start.startMs / 1000), {
    keepLive: broken,
    last,
  });
  writeHead(generation.headPath, head);
  start.state.adopt(generation);
}
