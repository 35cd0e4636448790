import { constants } from 'node:os';
import koffi from 'koffi';
import { SysbackupError } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import { pathForSyscall } from '../files/byte-path.js';
import { lastErrno } from '../files/native.js';

/** The system calls that running pickers and snapshotters needs and Node lacks. */
const libc = koffi.load(null);

const pipe2: (fds: Uint8Array, flags: number) => number = libc.func('int pipe2(uint8_t *fds, int flags)');
const fcntl: (fd: number, command: number, type: 'int', value: number) => number = libc.func(
  'int fcntl(int fd, int command, ...)',
);
const getxattr: (path: Uint8Array, name: string, value: null, size: number) => number = libc.func(
  'int64_t getxattr(const uint8_t *path, const char *name, uint8_t *value, size_t size)',
);

/** What the kernel lets anybody have (pipe(7)): room for a picker to go on while what it printed is dealt with. */
const PIPE_BYTES = 1 << 20;

/** From `fcntl.h`, the same on x64 and arm64. */
const O_CLOEXEC = 0o2000000;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_SETPIPE_SZ = 1031;
const F_RDLCK = 0;
const F_UNLCK = 2;

/**
 * A pipe, both ends closed on exec. Node's own `stdio: 'pipe'` hands a child a socket, and opening
 * `/dev/stdout` or `/dev/stderr` (`echo … >/dev/stderr`, `tee /dev/stderr`) fails on a socket with ENXIO.
 * Throws SYSTEM.
 */
export function openPipe(): { readEnd: number; writeEnd: number } {
  const fds = new Int32Array(2);
  if (pipe2(new Uint8Array(fds.buffer), O_CLOEXEC) !== 0) {
    throw new SysbackupError('SYSTEM', `cannot make a pipe to run a program: ${lastErrno()}`, {
      hint: 'raise the limit of open files (ulimit -n)',
    });
  }
  const [readEnd = -1, writeEnd = -1] = fds;
  // Refused where this user's pipes take much already: the usual 64 KiB do too.
  fcntl(readEnd, F_SETPIPE_SZ, 'int', PIPE_BYTES);
  return { readEnd, writeEnd };
}

/**
 * Whether anyone has the file open for writing. `fd` must be open for reading only, and the file be the
 * caller's own. Undefined where the file system cannot tell (FUSE; NFS may wrongly answer true).
 *
 * fcntl(2): a read lease is refused with EAGAIN while the file is open for writing anywhere. The lease is given
 * back at once; should a writer come in between, the kernel's SIGIO, which would end the process, is replaced by
 * SIGURG, which is ignored.
 */
export function hasWriters(fd: number): boolean | undefined {
  if (fcntl(fd, F_SETSIG, 'int', constants.signals.SIGURG) !== 0) return undefined;
  if (fcntl(fd, F_SETLEASE, 'int', F_RDLCK) === 0) {
    fcntl(fd, F_SETLEASE, 'int', F_UNLCK);
    return false;
  }
  return koffi.errno() === koffi.os.errno['EAGAIN'] ? true : undefined;
}

/** Whether the file (a link is followed) has an ACL beyond its mode: the mode's group bits are then its mask. */
export function hasAccessAcl(path: BytePath): boolean {
  return getxattr(pathForSyscall(path), 'system.posix_acl_access', null, 0) > 0;
}
