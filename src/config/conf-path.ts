import { isAbsolute, join, resolve } from 'node:path';
import type { ConfSurroundings } from './surroundings.js';
import type { ValueKind } from './value-kinds.js';

/**
 * A path in the conf, made absolute: relative ones count from the conf's folder, `~/` is the home of the user who
 * runs the program.
 */
export function confPath(around: ConfSurroundings): ValueKind<string> {
  return {
    allowed: "a path on one line: absolute, relative to the conf's folder, or beginning with ~/",
    read: (written) => {
      if (written === '' || /[\0\n\r]/.test(written)) return undefined;
      if (written === '~' || written.startsWith('~/')) return join(around.user.home, written.slice(1));
      return resolve(around.confDir, written);
    },
  };
}

/**
 * Where the state directory is if the conf names none: `/var/lib/s3-sysbackup` for root; else below
 * `XDG_STATE_HOME`, or below `~/.local/state` where that is not set or not absolute
 * (XDG Base Directory Specification 0.8).
 */
export function defaultStatePath(around: ConfSurroundings): { path: string; source: string } {
  if (around.user.uid === 0) return { path: '/var/lib/s3-sysbackup', source: 'default' };
  const stateHome = around.env['XDG_STATE_HOME'];
  if (stateHome !== undefined && isAbsolute(stateHome))
    return { path: join(stateHome, 's3-sysbackup'), source: 'environment XDG_STATE_HOME' };
  return { path: join(around.user.home, '.local/state/s3-sysbackup'), source: 'default' };
}
