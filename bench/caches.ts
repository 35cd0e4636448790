import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { quoted } from './measure/command.js';

/**
 * The same state of the page cache for everybody: nothing left to be written, and either all files of `read` read and
 * all below `looked` looked at (`warm`), or nothing at all in it (`cold`, which only root can have).
 */
export function evenOut(
  caches: 'warm' | 'cold',
  { read = [], looked = [] }: { read?: readonly string[]; looked?: readonly string[] },
): void {
  execFileSync('sync');
  if (caches === 'cold') {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return;
  }
  const below = (paths: readonly string[]): string => `find ${paths.map(quoted).join(' ')} -xdev`;
  if (read.length > 0) inShell(`${below(read)} -type f -print0 | xargs -0 -r cat > /dev/null`);
  if (looked.length > 0) inShell(`${below(looked)} -size -0 > /dev/null`);
}

function inShell(script: string): void {
  execFileSync('/bin/sh', ['-c', script]);
}
