import type { LogLevel, SysbackupEvent } from '../../src/index.js';
import { type BytePath, textOfPath } from '../../src/index.js';
import { levelOfEvent } from './event-lines.js';

/**
 * An event as what `--json` prints of it: the event itself, with a path in it as text, or as `path64` where its
 * bytes are no UTF-8, just as in a manifest.
 */
export function jsonOfEvent(event: SysbackupEvent): object {
  if (event.type !== 'problem') return event;
  const { path, ...rest } = event.problem;
  return { type: 'problem', ...rest, ...(path === undefined ? {} : jsonOfPath(path)) };
}

/** `{path}` or `{path64}` of a path in latin-1 decoded bytes. */
export function jsonOfPath(path: string): { path: string } | { path64: string } {
  const text = textOfPath(path as BytePath);
  return text === undefined ? { path64: Buffer.from(path, 'latin1').toString('base64') } : { path: text };
}

/**
 * Whether `--json` prints an event at this log level. Phases, progress and problems always: programs count on
 * them; the rest as the line that tells a person of it.
 */
export function printsAsJson(event: SysbackupEvent, takes: (level: LogLevel) => boolean): boolean {
  if (event.type === 'phase' || event.type === 'progress' || event.type === 'problem') return true;
  const level = levelOfEvent(event);
  return level !== undefined && takes(level);
}
