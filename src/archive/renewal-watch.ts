import type { WatchedManifest } from '../catalog/head.js';
import { messageOf, SysbackupError } from '../errors.js';
import type { Retention } from '../store/port.js';
import { DAY_SECONDS } from '../store/lock-dates.js';
import { locksOf, type RunStart } from './workshop.js';

/** Nobody waits longer to be told. */
const LONGEST_DAYS = 28;
/** Below, what is watched may be gone before anybody had to renew it. */
const LEAST_RETAINED_DAYS = 4;

/**
 * Looks whether somebody else renews this machine's backups, which is what keeps them when the machine is dead, and
 * warns where no sign of it can be seen. The sign: `renew` moves the locks of all manifests of the last weeks out, and
 * this machine never touches a manifest again. So one of its own is remembered with the lock that it was given, and
 * when most of that lock has passed, one GetObjectRetention tells. Then the next one is watched: with 14 days
 * retained that is one request in eleven nights, and one warning in as many.
 *
 * Returns what goes on being watched; undefined where the run at hand should be.
 */
export async function watchRenewal(start: RunStart): Promise<WatchedManifest | undefined> {
  const watched = start.recalled.catalog?.head.watched;
  if (watched === undefined || !canTell(start)) return undefined;
  const given = watched.until - watched.since;
  // For fewer days now: whoever renews by the same conf would not touch it for a long time.
  if (given > daysOf(start) * DAY_SECONDS) return undefined;
  const ageSeconds = start.startMs / 1000 - watched.since;
  // Given while a clock was ahead: it would be watched until that time comes.
  if (ageSeconds < -DAY_SECONDS) return undefined;
  if (ageSeconds < Math.min(given * 0.75, LONGEST_DAYS * DAY_SECONDS)) return watched;
  const lock = await lockOf(start, watched);
  // A lock that cannot be asked for says nothing.
  if (lock !== undefined && lock.until <= watched.until) warn(start, watched, ageSeconds);
  return undefined;
}

/**
 * This run's manifest as one to be watched; undefined where its lock can tell nothing: `renew` leaves broken runs
 * alone, and what is kept for a week, month or year is locked for longer than it asks for.
 *
 * @param until end of its lock, seconds since the epoch
 */
export function toBeWatched(
  start: RunStart,
  manifest: { key: string; version: string },
  until: number,
): WatchedManifest | undefined {
  if (!canTell(start) || start.problems.outcome === 'broken') return undefined;
  const since = Math.ceil(start.startMs / 1000);
  return until - since > daysOf(start) * DAY_SECONDS ? undefined : { ...manifest, until, since };
}

/** A directory is nobody's to renew: `expire` there keeps what a living run names. */
function canTell(start: RunStart): boolean {
  const { destination } = start.options.settings;
  return (
    destination.kind === 's3' && locksOf(start).mode !== undefined && daysOf(start) >= LEAST_RETAINED_DAYS
  );
}

function daysOf({ options }: RunStart): number {
  return options.settings.content.daysRetained;
}

/** A manifest that is gone had no longer lock than the one it was given. */
async function lockOf(
  { store, onEvent }: RunStart,
  { key, version, until }: WatchedManifest,
): Promise<Pick<Retention, 'until'> | undefined> {
  try {
    return (await store.getRetention(key, version)) ?? { until: 0 };
  } catch (error) {
    if (!(error instanceof SysbackupError) || error.code === 'LIMIT' || error.code === 'ABORTED') throw error;
    if (error.code === 'NOT_FOUND') return { until };
    const message = `whether anybody renews cannot be seen: ${messageOf(error)}`;
    onEvent({ type: 'log', level: 'debug', message });
    return undefined;
  }
}

function warn(start: RunStart, { key, until }: WatchedManifest, ageSeconds: number): void {
  const { backupName } = start.options.settings;
  const message =
    `nobody seems to renew the backups of ${backupName}: the lock of ${key}, stored ` +
    `${Math.round(ageSeconds / DAY_SECONDS)} days ago, is still the one until ${new Date(until * 1000).toISOString().slice(0, 10)} ` +
    `that it was given. Once this machine is dead, its backups go as their locks end. ` +
    'Let another machine renew daily (there: write-config --renew-timer), for as many days as this one retains.';
  start.onEvent({ type: 'log', level: 'warning', message });
}
