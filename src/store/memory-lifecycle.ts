import { isLocked, type MemoryBucket } from './memory-bucket.js';

const DAY_MS = 24 * 3600 * 1000;

export interface LifecycleRules {
  /** Days after which a current version gets a delete marker on top. */
  expireAfterDays?: number;
  /** Days for which a version stays after something else came on top of it. */
  noncurrentDays?: number;
  /** Whether a delete marker goes that has nothing below it. Default true. */
  removeExpiredMarkers?: boolean;
  /** Only keys with this prefix. */
  prefix?: string;
}

/**
 * One night of lifecycle as S3 does it: days count in full and end at midnight UTC; locked versions are passed
 * over until their lock has ended (S3 User Guide, "Lifecycle configuration elements", "Object Lock").
 */
export function lifecycleNight(
  bucket: MemoryBucket,
  rules: LifecycleRules,
  now: number,
  addDeleteMarker: (key: string) => void,
): void {
  for (const key of bucket.keys().filter((key) => key.startsWith(rules.prefix ?? ''))) {
    removeNoncurrent(bucket, key, rules.noncurrentDays, now);
    const [current, below] = bucket.versionsOf(key);
    if (current === undefined) continue;
    if (current.deleteMarker) {
      if (below === undefined && rules.removeExpiredMarkers !== false) bucket.remove(current);
    } else if (rules.expireAfterDays !== undefined && now >= dayEnd(current.received, rules.expireAfterDays))
      addDeleteMarker(key);
  }
}

function removeNoncurrent(bucket: MemoryBucket, key: string, days: number | undefined, now: number): void {
  if (days === undefined) return;
  const stack = bucket.versionsOf(key);
  for (const [index, version] of stack.entries()) {
    const successor = stack[index - 1];
    if (successor === undefined || isLocked(version, now)) continue;
    if (now >= dayEnd(successor.received, days)) bucket.remove(version);
  }
}

/** The midnight UTC that follows a time plus some days. */
function dayEnd(time: number, days: number): number {
  return Math.ceil((time + days * DAY_MS) / DAY_MS) * DAY_MS;
}
