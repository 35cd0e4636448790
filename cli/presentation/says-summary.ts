import type { Session } from '../session.js';

/** Whether a summary is to be printed of what ended with this code: not of what went well where --quiet is given. */
export function saysSummary({ quiet }: Pick<Session, 'quiet'>, exitCode: number): boolean {
  return !quiet || exitCode !== 0;
}
