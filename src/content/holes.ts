import koffi from 'koffi';
import { lastErrno } from '../files/native.js';

const lseek: (fd: number, offset: number, whence: number) => number | bigint = koffi
  .load(null)
  .func('int64_t lseek(int fd, int64_t offset, int whence)');

/** lseek(2), Linux's number on every architecture. */
const SEEK_DATA = 3;

/**
 * Where the next bytes that are not a hole begin, at or after `from`; Infinity where only a hole is left. A file
 * system that knows nothing of holes says `from`. Moves the descriptor's offset.
 */
export function nextData(fd: number, from: number): number {
  const at = Number(lseek(fd, from, SEEK_DATA));
  if (at >= 0) return at;
  return lastErrno() === 'ENXIO' ? Number.POSITIVE_INFINITY : from;
}
