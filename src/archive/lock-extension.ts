import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';

/** Moves the locks of versions out, and finds out what a refusal means. */
export class LockExtension {
  /** How many have been moved. */
  extended = 0;
  readonly #store: Pick<ObjectStore, 'extendRetention' | 'getRetention'>;
  readonly #onEvent: EventListener;

  constructor(store: Pick<ObjectStore, 'extendRetention' | 'getRetention'>, onEvent: EventListener) {
    this.#store = store;
    this.#onEvent = onEvent;
  }

  /**
   * Extends the lock of any version. Returns the end of the lock that it has now; undefined where that is too short or
   * it is gone.
   */
  async extend(key: string, version: string, until: number, locks: LockDates): Promise<number | undefined> {
    const retention = locks.retention(until);
    if (retention === undefined) return until;
    try {
      await this.#store.extendRetention(key, version, retention);
    } catch (error) {
      if (!(error instanceof SysbackupError)) throw error;
      if (error.code === 'NOT_FOUND') return undefined;
      if (error.code !== 'ACCESS_DENIED') throw error;
      return await this.#longEnough(key, version, error, locks);
    }
    this.extended++;
    this.#onEvent({ type: 'renewed', key, version, until });
    return until;
  }

  /** A refused extension may mean that the lock is longer, or stricter, than remembered. */
  async #longEnough(
    key: string,
    version: string,
    refused: SysbackupError,
    locks: LockDates,
  ): Promise<number | undefined> {
    try {
      const held = await this.#store.getRetention(key, version);
      if (
        held !== undefined &&
        held.until >= locks.needed &&
        (held.mode === locks.mode || held.mode === 'COMPLIANCE')
      ) {
        return held.until;
      }
    } catch (error) {
      if (!(error instanceof SysbackupError) || !['NOT_FOUND', 'ACCESS_DENIED'].includes(error.code))
        throw error;
    }
    this.#onEvent({
      type: 'log',
      level: 'warning',
      message: `the lock of ${key} could not be extended: ${refused.message}`,
    });
    return undefined;
  }
}
