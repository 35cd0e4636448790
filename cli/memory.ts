import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';

/**
 * A backup shares its machine with what that machine is for. Left to itself the heap grows to several times what is
 * live before it is collected. Doubling at most, a first run takes a tenth less memory in the same time; growing by a
 * third only would take another 5 % less, for 5 % more processor time. A run that reads no content is over before that
 * would matter, and takes 5 % longer for it; so does a restore, which has its machine for itself.
 */
export function limitHeapGrowth(): void {
  setFlagsFromString('--heap-growing-percent=100');
}

/** glibc's malloc.h. */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
/** More than any buffer that is made again and again. */
const FROM_KERNEL = 8 << 20;
const KEPT = 64 << 20;

/**
 * Freed memory is kept for what comes next. Left to itself, glibc has the kernel make each long buffer anew, page by
 * page, and gives memory back as soon as 128 KiB of it are free: 4 % of the time of a first run and of a restore. Does
 * nothing where the C library is another one.
 */
export function keepFreedMemory(): void {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi').default;
    const mallopt: (parameter: number, value: number) => number = koffi
      .load(null)
      .func('int mallopt(int parameter, int value)');
    mallopt(M_MMAP_THRESHOLD, FROM_KERNEL);
    mallopt(M_TRIM_THRESHOLD, KEPT);
  } catch {
    // musl has no such function.
  }
}
