import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { quoted } from './measure/command.js';

/**
 * The same state of the page cache for everybody: nothing left to be written, and either all of these paths read
 * (`warm`), or nothing at all in it (`cold`, which only root can have).
 */
export function evenOut(caches: 'warm' | 'cold', paths: readonly string[]): void {
  execFileSync('sync');
  if (caches === 'cold') writeFileSync('/proc/sys/vm/drop_caches', '3');
  else if (paths.length > 0)
    execFileSync('/bin/sh', [
      '-c',
      `find ${paths.map(quoted).join(' ')} -xdev -type f -print0 | xargs -0 -r cat > /dev/null`,
    ]);
}
