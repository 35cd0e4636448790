import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Environment of a program whose clock, and whose directory stores' clock, is so many seconds off. */
export type MovedClock = (seconds: number) => Record<string, string>;

/** Compiles what moves a clock into a folder. Throws where there is no C compiler. */
export function movedClock(folder: string): MovedClock {
  const library = join(folder, 'moved-clock.so');
  const source = join(import.meta.dirname, 'moved-clock.c');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  return (seconds) => ({ LD_PRELOAD: library, MOVED_CLOCK: String(seconds) });
}
