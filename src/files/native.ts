import koffi from 'koffi';
import { errnoName } from '../errno-names.js';

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

/**
 * The same with the addresses of path and result ({@link addressOf}): looking up where two buffers lie takes a fifth of
 * such a call, and an unchanged run is mostly such calls.
 */
export const statxAt: (fd: number, path: number, flags: number, mask: number, out: number) => number =
  libc.func('int statx(int fd, uintptr_t path, int flags, uint32_t mask, uintptr_t out)');

/** Where a buffer's bytes lie, for as long as it lives. Of one with memory of its own (`Buffer.alloc`) only. */
export function addressOf(buffer: Uint8Array): number {
  return Number(koffi.address(buffer));
}

/** The name (`ENOENT`) of the error that the last call of this thread ended with. */
export function lastErrno(): string {
  return errnoName(koffi.errno());
}

// Sizes that come back as int64_t are numbers: koffi turns what a number holds exactly into one.
type XattrList = (path: Uint8Array, out: Uint8Array, size: number) => number;
type XattrGet = (path: Uint8Array, name: Uint8Array, out: Uint8Array, size: number) => number;
type XattrSet = (
  path: Uint8Array,
  name: Uint8Array,
  value: Uint8Array,
  size: number,
  flags: number,
) => number;
type XattrRemove = (path: Uint8Array, name: Uint8Array) => number;

export const llistxattr: XattrList = libc.func(
  'int64_t llistxattr(const uint8_t *path, uint8_t *out, size_t size)',
);
export const lgetxattr: XattrGet = libc.func(
  'int64_t lgetxattr(const uint8_t *path, const uint8_t *name, uint8_t *out, size_t size)',
);

// These follow links, for the sake of `/proc/self/fd/N`, which is one (see handle.ts).
export const listxattr: XattrList = libc.func(
  'int64_t listxattr(const uint8_t *path, uint8_t *out, size_t size)',
);
export const getxattr: XattrGet = libc.func(
  'int64_t getxattr(const uint8_t *path, const uint8_t *name, uint8_t *out, size_t size)',
);
export const setxattr: XattrSet = libc.func(
  'int setxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
);
export const removexattr: XattrRemove = libc.func(
  'int removexattr(const uint8_t *path, const uint8_t *name)',
);

export const flistxattr: (fd: number, out: Uint8Array, size: number) => number = libc.func(
  'int64_t flistxattr(int fd, uint8_t *out, size_t size)',
);
export const fgetxattr: (fd: number, name: Uint8Array, out: Uint8Array, size: number) => number = libc.func(
  'int64_t fgetxattr(int fd, const uint8_t *name, uint8_t *out, size_t size)',
);
export const fsetxattr: (
  fd: number,
  name: Uint8Array,
  value: Uint8Array,
  size: number,
  flags: number,
) => number = libc.func(
  'int fsetxattr(int fd, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
);
export const fremovexattr: (fd: number, name: Uint8Array) => number = libc.func(
  'int fremovexattr(int fd, const uint8_t *name)',
);

// Flags of openat that are the same wherever koffi has a build; those that are not (`O_DIRECTORY`, `O_NOFOLLOW`)
// are in Node's `fs.constants`.
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const AT_EMPTY_PATH = 0x1000;
export const AT_REMOVEDIR = 0x200;

/** Variadic in C; on x64 and arm64 Linux a fixed fourth argument travels the same way. */
export const openat: (dir: number, path: Uint8Array, flags: number, mode: number) => number = libc.func(
  'int openat(int dir, const uint8_t *path, int flags, uint32_t mode)',
);
export const close: (fd: number) => number = libc.func('int close(int fd)');
export const mkdirat: (dir: number, path: Uint8Array, mode: number) => number = libc.func(
  'int mkdirat(int dir, const uint8_t *path, uint32_t mode)',
);
export const unlinkat: (dir: number, path: Uint8Array, flags: number) => number = libc.func(
  'int unlinkat(int dir, const uint8_t *path, int flags)',
);
export const renameat: (from: number, path: Uint8Array, to: number, newPath: Uint8Array) => number =
  libc.func('int renameat(int from, const uint8_t *path, int to, const uint8_t *new_path)');
export const linkat: (
  from: number,
  path: Uint8Array,
  to: number,
  newPath: Uint8Array,
  flags: number,
) => number = libc.func(
  'int linkat(int from, const uint8_t *path, int to, const uint8_t *new_path, int flags)',
);
export const symlinkat: (target: Uint8Array, dir: number, path: Uint8Array) => number = libc.func(
  'int symlinkat(const uint8_t *target, int dir, const uint8_t *path)',
);
export const readlinkat: (dir: number, path: Uint8Array, out: Uint8Array, size: number) => number = libc.func(
  'int64_t readlinkat(int dir, const uint8_t *path, uint8_t *out, size_t size)',
);

/** An id of 0xffffffff leaves that one as it is. */
export const fchownat: (dir: number, path: Uint8Array, uid: number, gid: number, flags: number) => number =
  libc.func('int fchownat(int dir, const uint8_t *path, uint32_t uid, uint32_t gid, int flags)');
export const fchown: (fd: number, uid: number, gid: number) => number = libc.func(
  'int fchown(int fd, uint32_t uid, uint32_t gid)',
);
export const fchmodat: (dir: number, path: Uint8Array, mode: number, flags: number) => number = libc.func(
  'int fchmodat(int dir, const uint8_t *path, uint32_t mode, int flags)',
);
export const fchmod: (fd: number, mode: number) => number = libc.func('int fchmod(int fd, uint32_t mode)');

/** `times` is two `struct timespec`: atime, mtime, each s64 seconds and s64 nanoseconds. */
export const utimensat: (dir: number, path: Uint8Array, times: Uint8Array, flags: number) => number =
  libc.func('int utimensat(int dir, const uint8_t *path, const uint8_t *times, int flags)');
export const futimens: (fd: number, times: Uint8Array) => number = libc.func(
  'int futimens(int fd, const uint8_t *times)',
);

/** A `struct statfs` begins with the file system's number; 120 bytes are the longest. */
export const fstatfs: (fd: number, out: Uint8Array) => number = libc.func(
  'int fstatfs(int fd, uint8_t *out)',
);

/** Copies `length` bytes, which both must have: in two thirds of the time of `set`, where `to` is memory of all threads. */
export const memcpy: (to: Uint8Array, from: Uint8Array, length: number) => unknown = libc.func(
  'void *memcpy(uint8_t *to, const uint8_t *from, size_t length)',
);
