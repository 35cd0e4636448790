import type { EventListener, LogLevel, Problem, SysbackupEvent } from '../../src/index.js';
import { displayPath } from '../../src/index.js';
import { kindOfLine } from './line-kinds.js';
import type { Log } from './log.js';
import { formatBytes, formatTime } from './quantities.js';

/** One server error is daily life, several in a row for the same request are worth knowing. */
const REMARKABLE_ATTEMPT = 3;
const RETRY_EVERY_MS = 10_000;

const LEVELS: Record<Problem['severity'], LogLevel> = { note: 'info', failure: 'warning', broken: 'error' };

/**
 * Tells a log of events, as far as lines are to be told of them. When a server is out of reach, dozens of requests
 * are repeated at a time: one warning in ten seconds is enough to know. Of what may come without end the log takes the
 * first lines, see {@link Log.writeRest}.
 *
 * @param clock Milliseconds of a clock that never goes back.
 */
export function eventLogger(log: Log, clock: () => number = () => performance.now()): EventListener {
  let nextRetryAt = Number.NEGATIVE_INFINITY;
  return (event) => {
    let level = levelOfEvent(event);
    if (event.type === 'retry' && level === 'warning') {
      const now = clock();
      if (now < nextRetryAt) level = 'debug';
      else nextRetryAt = now + RETRY_EVERY_MS;
    }
    // Asked first: there is an event for each object stored, and its text would mostly be made for nobody.
    if (level === undefined || !log.takes(level)) return;
    const kind = kindOfLine(event);
    if (kind === undefined) log.write(level, textOfEvent(event));
    else log.writeOneOf(kind, level, () => textOfEvent(event));
  };
}

/** Of the line that tells a person of it; undefined where none does. */
export function levelOfEvent(event: SysbackupEvent): LogLevel | undefined {
  switch (event.type) {
    case 'log':
      return event.level;
    case 'problem':
      return LEVELS[event.problem.severity];
    case 'retry':
      return event.attempt >= REMARKABLE_ATTEMPT ? 'warning' : 'debug';
    case 'phase':
    case 'stored':
    case 'renewed':
      return 'debug';
    case 'progress':
      return undefined;
  }
}

function textOfEvent(event: SysbackupEvent): string {
  switch (event.type) {
    case 'log':
      return event.source === undefined ? event.message : `${event.source}: ${event.message}`;
    case 'problem':
      return textOfProblem(event.problem);
    case 'phase':
      return `phase: ${event.phase}`;
    case 'retry': {
      const { request, key, attempt, delayMs, reason } = event;
      const what = reason.includes(key) ? reason : `${request} ${key}: ${reason}`;
      return `trying again in ${(delayMs / 1000).toFixed(1)} s (attempt ${attempt}): ${what}`;
    }
    case 'stored':
      return `stored ${event.key} (${formatBytes(event.size)}, version ${event.version}${lockedUntil(event.until)})`;
    case 'renewed':
      return `renewed ${event.key} (version ${event.version}${lockedUntil(event.until)})`;
    case 'progress':
      return event.phase;
  }
}

/** With the path or program concerned, which most messages name themselves. */
function textOfProblem({ message, path, source }: Problem): string {
  const shown = path === undefined ? undefined : displayPath(path);
  const text = shown === undefined || message.includes(shown) ? message : `${shown}: ${message}`;
  return source === undefined || text.includes(source) ? text : `${source}: ${text}`;
}

/** `until` is in seconds; 0 stands for no lock. */
function lockedUntil(until: number): string {
  return until > 0 ? `, locked until ${formatTime(until * 1000)}` : '';
}
