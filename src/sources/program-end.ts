import type { ProgramEnd } from './program.js';

/** Whether the program did what it should: ended by itself, with exit code 0. */
export function succeeded(end: ProgramEnd): boolean {
  return end.kind === 'exited' && end.code === 0;
}

/** How a program ended, as the second half of a sentence, with what it printed last. */
export function describeEnd(end: ProgramEnd, lastLines: string): string {
  const said = lastLines === '' ? '' : `; its last lines: ${lastLines}`;
  switch (end.kind) {
    case 'exited':
      return `ended with exit code ${end.code}${said}`;
    case 'killed':
      return `was ended by ${end.signal}${said}`;
    case 'timeout':
      return `was stopped after ${end.afterMs / 1000} s, the time allowed${said}`;
    case 'not-started':
      return `could not be started: ${end.reason}`;
  }
}
