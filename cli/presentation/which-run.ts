import type { EventListener, StoredRun } from '../../src/index.js';
import { formatTime } from './quantities.js';

/** Nobody shall find out afterwards which run "latest" was. */
export function tellRun({ backup, run, time, outcome }: StoredRun, onEvent: EventListener): void {
  const message = `run ${run} of ${backup}, ${formatTime(time)}, ${outcome}`;
  const more = outcome === 'complete' ? '' : ': some of what should be in it is not';
  onEvent({ type: 'log', level: outcome === 'complete' ? 'info' : 'warning', message: message + more });
}
