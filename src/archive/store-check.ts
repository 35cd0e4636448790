import type { Settings } from '../config/settings.js';
import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { ObjectStore } from '../store/port.js';

const MINUTE_MS = 60_000;
const CLOCK_TOLERANCE_MINUTES = 5;

/** Whether the store enforces locks. Throws STORE_UNSUITABLE where it does not and the settings want it to. */
export async function checkObjectLock(
  store: ObjectStore,
  destination: Settings['destination'],
): Promise<boolean> {
  const { objectLock } = await store.capabilities();
  if (!objectLock && (destination.kind === 'directory' || destination.s3.requireObjectLock)) {
    throw new SysbackupError('STORE_UNSUITABLE', `${store.description} does not lock what is stored in it`, {
      hint:
        'Use a bucket made with Object Lock, or set [s3] require_object_lock = no and know that ' +
        'whoever has its keys can delete your backups.',
    });
  }
  return objectLock;
}

/** Says so where this machine's clock is off. Nothing depends on it: a run's time is the store's. */
export function warnOfClock(storeMs: number, machineMs: number, onEvent: EventListener): void {
  const off = Math.round((machineMs - storeMs) / MINUTE_MS);
  if (Math.abs(off) < CLOCK_TOLERANCE_MINUTES) return;
  const direction = off > 0 ? 'ahead of' : 'behind';
  const message = `this machine's clock is ${Math.abs(off)} minutes ${direction} the store's; the store's counts`;
  onEvent({ type: 'log', level: 'warning', message });
}
