import type { RunHistory } from '../../src/index.js';
import { countOf, formatTime } from './quantities.js';

/** How long a backup has been without a complete run, for a line about it. */
export function completeText({ lastComplete, sinceComplete, firstRun }: RunHistory): string {
  const runs = countOf(sinceComplete, 'run');
  if (lastComplete !== null)
    return `the last complete run is of ${formatTime(lastComplete)}, with ${runs} after it`;
  const since = firstRun === null ? '' : ` since ${formatTime(firstRun)}`;
  return `no run${since} was complete, of ${runs}`;
}
