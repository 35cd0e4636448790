import { SysbackupError } from '../errors.js';
import type { ManifestHeader } from '../manifest/types.js';
import type { Retention } from '../store/port.js';

/**
 * What a run promises of everything it names, by the later of two dates: that of its header, and that of the
 * manifest's own lock, since no manifest outlives what it names (and `renew` extends the manifest last). Undefined
 * where the run was stored without locks. Throws DAMAGED where the header's date is none.
 */
export function promiseOf(
  header: ManifestHeader,
  manifestLock: Retention | undefined,
): Retention | undefined {
  if (header.retention === null) return undefined;
  const { mode, until } = header.retention;
  const ms = Date.parse(until);
  if (Number.isNaN(ms))
    throw new SysbackupError(
      'DAMAGED',
      `the manifest of ${header.backup}/${header.run} promises locks until no date at all`,
    );
  return { mode, until: Math.max(Math.ceil(ms / 1000), manifestLock?.until ?? 0) };
}

/** Whether a lock does what was promised. */
export function keeps(lock: Retention | undefined, promise: Retention): boolean {
  return (
    lock !== undefined &&
    lock.until >= promise.until &&
    (lock.mode === promise.mode || lock.mode === 'COMPLIANCE')
  );
}

/** A date in seconds since the epoch, for messages. */
export function lockDate(seconds: number): string {
  // The farthest date that JavaScript knows, and farther than any lock means to be.
  return new Date(Math.min(seconds * 1000, 8.64e15)).toISOString().replace('.000Z', 'Z');
}
