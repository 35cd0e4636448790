import type { EventListener } from '../events.js';
import { splitByClock } from '../manifest/ahead.js';
import { type StoredRun, warn } from '../manifest/runs.js';

/** What is said to accept a run: `<backup name>/<run id>`. */
export function acceptedName({ backup, run }: Pick<StoredRun, 'backup' | 'run'>): string {
  return `${backup}/${run}`;
}

export interface AcceptedRuns {
  accepted: readonly string[];
  /** The store's time. */
  nowMs: number;
  onEvent: EventListener | undefined;
}

/**
 * Of each group of runs those from its last accepted one on: from there on it is right to be smaller, and what came
 * before is no measure. What was received ahead of now cannot be accepted, since nobody knows what came before it; it
 * stays with those that are left. A name that is accepted and is none of these runs is a warning.
 *
 * @param groups each in the order of their receipt
 */
export function fromAccepted(
  groups: readonly (readonly StoredRun[])[],
  { accepted, nowMs, onEvent }: AcceptedRuns,
): (readonly StoredRun[])[] {
  const unknown = new Set(accepted);
  const left = groups.map((runs) => {
    const { timely, ahead } = splitByClock(runs, nowMs);
    const at = timely.findLastIndex((run) => accepted.includes(acceptedName(run)));
    for (const run of timely) unknown.delete(acceptedName(run));
    return at < 1 ? runs : [...timely.slice(at), ...ahead];
  });
  for (const name of unknown)
    warn(onEvent, `${name} is not accepted: there is no such run, or it is broken, or dated ahead of now`);
  return left;
}
