import type { SysbackupEvent } from '../../src/index.js';
import type { LineKind } from './line-limit.js';
import { countOf, formatCount } from './quantities.js';

/** By which the lines of an event are limited: a problem's by its code and program, a program's own by its name. */
export function kindOfLine(event: SysbackupEvent): LineKind | undefined {
  if (event.type === 'problem') {
    const { severity, code, source } = event.problem;
    return (
      SPECIAL[code] ?? {
        key: `${severity} ${code} ${source ?? ''}`,
        rest: (count) => more(count, code, source),
      }
    );
  }
  if (event.type !== 'log' || event.source === undefined) return undefined;
  const { level, source } = event;
  return {
    key: `${level} line of ${source}`,
    rest: (count) => `${source}: ${countOf(count, 'more line')} (--log-level debug shows all)`,
  };
}

function more(count: number, code: string, source: string | undefined): string {
  const whose = source === undefined ? '' : ` from ${source}`;
  return `and ${formatCount(count)} more "${code}"${whose} (--log-level debug names each)`;
}

/** What is there every night, and nobody reads path by path. */
const SPECIAL: Partial<Record<string, LineKind>> = {
  'special-file': {
    key: 'special-file',
    most: 0,
    rest: (count) =>
      `not backed up: ${countOf(count, 'FIFO, socket or device', 'FIFOs, sockets and devices')} (--log-level debug names each)`,
  },
  // Their picker's failure has the number.
  'overlay-whiteout': { key: 'overlay-whiteout', most: 0, rest: () => undefined },
};
