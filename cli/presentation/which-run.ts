import type { EventListener, StoredRun } from '../../src/index.js';
import { formatTime } from './quantities.js';

/** Nobody shall find out afterwards which run "latest" was. */
export function tellRun(chosen: StoredRun, onEvent: EventListener): void {
  const { backup, run, time, outcome, format } = chosen;
  const what = format === 1 ? 'in the older format' : outcome;
  const message = `run ${run} of ${backup}, ${formatTime(time)}, ${what}`;
  const more = outcome === 'complete' ? '' : ': some of what should be in it is not';
  onEvent({ type: 'log', level: outcome === 'complete' ? 'info' : 'warning', message: message + more });
}
