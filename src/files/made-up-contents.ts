import { fstatfs } from './native.js';
import type { FileStat } from './stat.js';

/** Numbers of file systems (statfs(2)): proc and sysfs. */
const MADE_UP = new Set([0x9fa0, 0x6265_6572]);

const out = Buffer.alloc(512);
/** By device: to ask for each file would be a call more for each. */
const known = new Map<number, boolean>();

/**
 * Whether the kernel makes the file's bytes up when they are read, so that neither its stated size nor its times tell
 * anything of them.
 */
export function hasMadeUpContents(fd: number, { deviceKey }: FileStat): boolean {
  let isMadeUp = known.get(deviceKey);
  if (isMadeUp === undefined) {
    // The number comes first, and is one of 32 bits wherever it stands in a wider field.
    isMadeUp = fstatfs(fd, out) === 0 && MADE_UP.has(out.readUInt32LE(0));
    known.set(deviceKey, isMadeUp);
  }
  return isMadeUp;
}
