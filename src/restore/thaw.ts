import { addUp } from '../add-up.js';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener, Problem } from '../events.js';
import type { ColdStorage, Thawed, ThawTier } from '../store/cold.js';
import type { FrozenCount, FrozenObjects } from './frozen.js';
import { TaskPool } from './task-pool.js';

export interface ThawOptions {
  cold: ColdStorage;
  objects: FrozenObjects;
  tier: ThawTier;
  /** Days that the readable copies stay: as long as the restore that then follows may take. */
  days: number;
  /** Requests at a time. Default 16. */
  concurrency?: number | undefined;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

export interface ThawSummary {
  tier: ThawTier;
  days: number;
  /** What became of asking. `readable`: thawed meanwhile, or never frozen. */
  done: Record<Thawed, FrozenCount>;
  /** Objects that could not be asked for. */
  problems: Problem[];
}

const CONCURRENCY = 16;
const PROBLEMS_KEPT = 1000;

/**
 * Asks the store to make frozen objects readable, which takes minutes to days. To ask for what is asked for already
 * costs a request and does no harm.
 *
 * Throws ACCESS_DENIED and USAGE at the first object that is refused so, since all would be; LIMIT; ABORTED.
 */
export async function thaw(options: ThawOptions): Promise<ThawSummary> {
  const { cold, objects, tier, days, concurrency = CONCURRENCY, onEvent, signal } = options;
  const none = (): FrozenCount => ({ objects: 0, bytes: 0 });
  const done = { asked: none(), 'under-way': none(), readable: none() };
  const problems: Problem[] = [];
  const pool = new TaskPool(concurrency);
  let ending: unknown;
  for (const { key, ver, storageClass, bytes } of objects) {
    throwIfAborted(signal);
    if (ending !== undefined) break;
    await pool.start(async () => {
      try {
        const count = done[await cold.thaw(key, ver, { tier, days, storageClass })];
        count.objects += 1;
        count.bytes = addUp(count.bytes, bytes);
      } catch (error) {
        if (endsAll(error)) ending ??= error;
        else {
          const problem: Problem = { severity: 'failure', code: 'not-thawed', message: messageOf(error) };
          if (problems.length < PROBLEMS_KEPT) problems.push(problem);
          onEvent?.({ type: 'problem', problem });
        }
      }
    });
  }
  await pool.idle();
  throwIfAborted(signal);
  if (ending !== undefined) throw ending;
  return { tier, days, done, problems };
}

function endsAll(error: unknown): boolean {
  return (
    !(error instanceof SysbackupError) || ['ACCESS_DENIED', 'USAGE', 'LIMIT', 'ABORTED'].includes(error.code)
  );
}
