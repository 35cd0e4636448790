import { PROC, SYSFS } from './file-system-types.js';
import { fstatfs } from './native.js';
import type { FileStat } from './stat.js';

const MADE_UP = new Set([PROC, SYSFS]);

const out = Buffer.alloc(512);
/** By device: to ask for each file would be a call more for each. */
const known = new Map<string, boolean>();

/**
 * Whether the kernel makes the file's bytes up when they are read, so that neither its stated size nor its times tell
 * anything of them.
 */
export function hasMadeUpContents(fd: number, { device }: FileStat): boolean {
  let isMadeUp = known.get(device);
  if (isMadeUp === undefined) {
    // The number comes first, and is one of 32 bits wherever it stands in a wider field.
    isMadeUp = fstatfs(fd, out) === 0 && MADE_UP.has(out.readUInt32LE(0));
    known.set(device, isMadeUp);
  }
  return isMadeUp;
}
