import koffi from 'koffi';

/**
 * The system calls that Node lacks, called in the C library. Paths are NUL-terminated bytes
 * (`pathForSyscall`), results are written to buffers of the caller's. A call costs about 1 µs.
 */
const libc = koffi.load(null);

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;

/** Kernel 4.11, glibc 2.28, musl 1.2.5. The same struct layout on every architecture. */
export const statx: (fd: number, path: Uint8Array, flags: number, mask: number, out: Uint8Array) => number =
  libc.func('int statx(int fd, const uint8_t *path, int flags, uint32_t mask, uint8_t *out)');

const ERRNO_NAMES = new Map<number, string>(
  Object.entries(koffi.os.errno).map(([name, code]) => [code, name]),
);

/** The name (`ENOENT`) of the error that the last call of this thread ended with. */
export function lastErrno(): string {
  const code = koffi.errno();
  return ERRNO_NAMES.get(code) ?? `errno ${code}`;
}
