import { constants } from 'node:fs';
import type { BytePath } from './byte-path.js';
import { pathForSyscall } from './byte-path.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  fchmod,
  fchmodat,
  fchown,
  fchownat,
  fgetxattr,
  flistxattr,
  fremovexattr,
  fsetxattr,
  futimens,
  getxattr,
  lastErrno,
  listxattr,
  O_CLOEXEC,
  O_PATH,
  openat,
  removexattr,
  setxattr,
  utimensat,
} from './native.js';
import { type FileStat, fstat } from './stat.js';

/**
 * One inode, held, whose metadata can be set; nobody can put another in its place meanwhile. Each method returns
 * undefined, or the errno's name. Attribute names end in NUL.
 */
export interface InodeHandle {
  stat(): FileStat | string;
  /** `undefined` leaves that one as it is. */
  chown(uid: number | undefined, gid: number | undefined): string | undefined;
  chmod(mode: number): string | undefined;
  /** Writes the names into `out`, each ending in NUL; their length in all, or the errno's name. */
  listXattrs(out: Buffer): number | string;
  /** Writes the value into `out`; its length, or the errno's name. */
  getXattr(name: Uint8Array, out: Buffer): number | string;
  setXattr(name: Uint8Array, value: Uint8Array): string | undefined;
  removeXattr(name: Uint8Array): string | undefined;
  /** `times` is two `struct timespec`. */
  setTimes(times: Uint8Array): string | undefined;
}

const KEEP_ID = 0xffffffff;
const EMPTY = Buffer.from('\0');

function failed(result: number): string | undefined {
  return result === 0 ? undefined : lastErrno();
}

/** A file open for reading or writing; the caller's, who closes it. */
export class OpenFileHandle implements InodeHandle {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  stat(): FileStat | string {
    return fstat(this.fd);
  }
  chown(uid = KEEP_ID, gid = KEEP_ID): string | undefined {
    return failed(fchown(this.fd, uid, gid));
  }
  chmod(mode: number): string | undefined {
    return failed(fchmod(this.fd, mode));
  }
  listXattrs(out: Buffer): number | string {
    const length = flistxattr(this.fd, out, out.length);
    return length < 0 ? lastErrno() : length;
  }
  getXattr(name: Uint8Array, out: Buffer): number | string {
    const length = fgetxattr(this.fd, name, out, out.length);
    return length < 0 ? lastErrno() : length;
  }
  setXattr(name: Uint8Array, value: Uint8Array): string | undefined {
    return failed(fsetxattr(this.fd, name, value, value.length, 0));
  }
  removeXattr(name: Uint8Array): string | undefined {
    return failed(fremovexattr(this.fd, name));
  }
  setTimes(times: Uint8Array): string | undefined {
    return failed(futimens(this.fd, times));
  }
}

/**
 * A file that this process has made and nobody else has changed: calls that would change nothing, of which each costs
 * a write to the file system's journal, are spared.
 */
export class NewFileHandle extends OpenFileHandle {
  /** As it is now; undefined where that is not known. */
  #now: { uid: number; gid: number; mode: number } | undefined;

  constructor(fd: number) {
    super(fd);
    const stat = fstat(fd);
    this.#now = typeof stat === 'string' ? undefined : { uid: stat.uid, gid: stat.gid, mode: stat.mode };
  }

  override chown(uid = KEEP_ID, gid = KEEP_ID): string | undefined {
    const now = this.#now;
    if (now && (uid === KEEP_ID || uid === now.uid) && (gid === KEEP_ID || gid === now.gid)) return undefined;
    this.#now = undefined;
    return super.chown(uid, gid);
  }
  override chmod(mode: number): string | undefined {
    if (this.#now?.mode === mode) return undefined;
    return super.chmod(mode);
  }
  override setXattr(name: Uint8Array, value: Uint8Array): string | undefined {
    // An ACL changes the mode.
    this.#now = undefined;
    return super.setXattr(name, value);
  }
  override removeXattr(name: Uint8Array): string | undefined {
    this.#now = undefined;
    return super.removeXattr(name);
  }
}

/**
 * Anything by its name in an open folder: symlinks, and what may not be read or written. Held by an O_PATH
 * descriptor, which asks for no right on the file. The calls that refuse such a descriptor go through its link in
 * /proc, which leads to the very inode, to a symlink itself too; without /proc they fail with ENOENT.
 */
export class PathHandle implements InodeHandle {
  readonly #fd: number;
  readonly #proc: Buffer;

  private constructor(fd: number) {
    this.#fd = fd;
    this.#proc = pathForSyscall(`/proc/self/fd/${fd}` as BytePath);
  }

  /** `name` ends in NUL and has no slash. The errno's name where it cannot be opened. Must be closed. */
  static open(folder: number, name: Uint8Array): PathHandle | string {
    const fd = openat(folder, name, O_PATH | constants.O_NOFOLLOW | O_CLOEXEC, 0);
    return fd < 0 ? lastErrno() : new PathHandle(fd);
  }

  close(): void {
    close(this.#fd);
  }

  stat(): FileStat | string {
    return fstat(this.#fd);
  }
  chown(uid = KEEP_ID, gid = KEEP_ID): string | undefined {
    return failed(fchownat(this.#fd, EMPTY, uid, gid, AT_EMPTY_PATH));
  }
  chmod(mode: number): string | undefined {
    return failed(fchmodat(AT_FDCWD, this.#proc, mode, 0));
  }
  listXattrs(out: Buffer): number | string {
    const length = listxattr(this.#proc, out, out.length);
    return length < 0 ? lastErrno() : length;
  }
  getXattr(name: Uint8Array, out: Buffer): number | string {
    const length = getxattr(this.#proc, name, out, out.length);
    return length < 0 ? lastErrno() : length;
  }
  setXattr(name: Uint8Array, value: Uint8Array): string | undefined {
    return failed(setxattr(this.#proc, name, value, value.length, 0));
  }
  removeXattr(name: Uint8Array): string | undefined {
    return failed(removexattr(this.#proc, name));
  }
  setTimes(times: Uint8Array): string | undefined {
    return failed(utimensat(AT_FDCWD, this.#proc, times, 0));
  }
}
