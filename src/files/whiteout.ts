import { lstatSync } from 'node:fs';
import { type BytePath, pathForFs } from './byte-path.js';

/**
 * Whether a character device is an overlay's whiteout (device 0:0): the mark, in an upper directory, of a name that was
 * deleted of a lower one.
 */
export function isWhiteout(path: BytePath): boolean {
  try {
    return lstatSync(pathForFs(path)).rdev === 0;
  } catch {
    return false;
  }
}
