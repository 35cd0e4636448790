import { randomFillSync } from 'node:crypto';
import { constants, readdirSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { type BytePath, pathForSyscall, pathFromBytes } from './byte-path.js';
import { PathHandle } from './handle.js';
import { readLinkAt } from './links.js';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  lastErrno,
  linkat,
  mkdirat,
  O_CLOEXEC,
  O_PATH,
  openat,
  renameat,
  symlinkat,
  unlinkat,
} from './native.js';
import { type FileStat, lstatAt } from './stat.js';

/** A failed call: the errno's name. `ELOOP`: a symlink stands where a folder should be. */
export type Errno = string;

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NONBLOCK } = constants;
const NAME_MAX = 255;
const SELF = Buffer.from('.\0');
/** What the names of files not yet complete begin with. */
export const TEMPORARY_PREFIX = '.s3-sysbackup-';
const RANDOM_BYTES = 9;
/** Asked for many at a time: by themselves they cost more than the file's creation. */
const randomness = Buffer.alloc(RANDOM_BYTES * 256);
let randomnessUsed = randomness.length;
/** Of a folder being restored: closed to others until its own mode is set. */
const NEW_FOLDER_MODE = 0o700;
const NEW_FILE_MODE = 0o600;

/**
 * An open folder, and what can be done right in it. Names are single components (bytes): one that is empty, `.`,
 * `..`, too long, or has a slash or a NUL is refused with EINVAL. No call follows a symlink, so that whoever
 * starts at a target and goes down by {@link openFolder} never leaves it, whatever stands there or is put there
 * meanwhile. Close it when done.
 */
export class SafeDir {
  /** For `…at` calls and, unless the folder may not be read, `fsync`. */
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** A target that a person named: symlinks in this path are theirs to choose, and followed. */
  static openTarget(path: BytePath): SafeDir | Errno {
    if (path.includes('\0')) return 'EINVAL';
    return openFolderAt(AT_FDCWD, pathForSyscall(path), 0, (fd) => new SafeDir(fd));
  }

  /** One that is open already, in another thread perhaps, whose descriptors are the same. Whoever opened it closes it. */
  static ofDescriptor(fd: number): SafeDir {
    return new SafeDir(fd);
  }

  close(): void {
    close(this.fd);
  }

  /** This folder once more, to be closed on its own. */
  openSelf(): SafeDir | Errno {
    return openFolderAt(this.fd, SELF, O_NOFOLLOW, (fd) => new SafeDir(fd));
  }

  /** A folder in this one. `create` makes it where nothing of the name is there, with mode 0700. */
  openFolder(name: BytePath, { create = false } = {}): SafeDir | Errno {
    const bytes = component(name);
    if (!bytes) return 'EINVAL';
    const open = () => openFolderAt(this.fd, bytes, O_NOFOLLOW, (fd) => new SafeDir(fd));
    const first = open();
    if (first !== 'ENOENT' || !create) return first;
    if (mkdirat(this.fd, bytes, NEW_FOLDER_MODE) !== 0) {
      const errno = lastErrno();
      if (errno !== 'EEXIST') return errno;
    }
    return open();
  }

  makeFolder(name: BytePath): Errno | undefined {
    return this.#named(name, (bytes) => mkdirat(this.fd, bytes, NEW_FOLDER_MODE));
  }

  /** An empty new file, open for writing. EEXIST where anything of the name is there. `mode`: less the umask. */
  createFile(name: BytePath, mode = NEW_FILE_MODE): { fd: number } | Errno {
    const bytes = component(name);
    if (!bytes) return 'EINVAL';
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const fd = openat(this.fd, bytes, flags, mode);
    return fd < 0 ? lastErrno() : { fd };
  }

  /** The same under a name of its own, to be renamed when it is complete. */
  createTemporary(): { fd: number; name: BytePath } | Errno {
    let fd = -1;
    const made = this.#underNewName((name) => {
      const created = this.createFile(name);
      if (typeof created === 'string') return created;
      fd = created.fd;
      return undefined;
    });
    return typeof made === 'string' ? made : { fd, name: made.name };
  }

  /**
   * Takes the place of whatever has the name, in one step; EISDIR where that is a folder and this is none. Does
   * nothing, and leaves `from` there, where both are names of one file: see {@link replaceByHardLink}.
   */
  rename(from: BytePath, to: BytePath, toFolder: SafeDir = this): Errno | undefined {
    return this.#named(from, (bytes) => {
      const target = component(to);
      return target ? renameat(this.fd, bytes, toFolder.fd, target) : 'EINVAL';
    });
  }

  /** `target` is free text and never followed here. ENOENT where it is empty. */
  makeLink(name: BytePath, target: BytePath): Errno | undefined {
    if (target.includes('\0')) return 'EINVAL';
    return this.#named(name, (bytes) => symlinkat(pathForSyscall(target), this.fd, bytes));
  }

  /** The same under a name of its own, to be renamed when it is complete. */
  makeTemporaryLink(target: BytePath): { name: BytePath } | Errno {
    return this.#underNewName((name) => this.makeLink(name, target));
  }

  /** A second name, in `toFolder`, for a file that is in this one; for a symlink itself, where it is one. */
  hardLink(name: BytePath, toFolder: SafeDir, toName: BytePath): Errno | undefined {
    return this.#named(name, (bytes) => {
      const target = component(toName);
      return target ? linkat(this.fd, bytes, toFolder.fd, target, 0) : 'EINVAL';
    });
  }

  /** The same in the place of what has that name, in one step; EISDIR where that is a folder. */
  replaceByHardLink(name: BytePath, toFolder: SafeDir, toName: BytePath): Errno | undefined {
    const temporary = toFolder.#underNewName((newName) => this.hardLink(name, toFolder, newName));
    if (typeof temporary === 'string') return temporary;
    const errno = toFolder.rename(temporary.name, toName);
    // Still there where the rename failed, or where the two were one file before.
    toFolder.remove(temporary.name);
    return errno;
  }

  /** Anything but a folder. */
  remove(name: BytePath): Errno | undefined {
    return this.#named(name, (bytes) => unlinkat(this.fd, bytes, 0));
  }

  /** An empty folder. */
  removeFolder(name: BytePath): Errno | undefined {
    return this.#named(name, (bytes) => unlinkat(this.fd, bytes, AT_REMOVEDIR));
  }

  stat(name: BytePath): FileStat | Errno {
    const bytes = component(name);
    return bytes ? lstatAt(this.fd, bytes) : 'EINVAL';
  }

  readLink(name: BytePath): { target: BytePath } | Errno {
    const bytes = component(name);
    return bytes ? readLinkAt(this.fd, bytes) : 'EINVAL';
  }

  /** What is in it, through the link in /proc, since Node opens directories by name only. */
  names(): BytePath[] | Errno {
    try {
      return readdirSync(`/proc/self/fd/${this.fd}`, { encoding: 'buffer' }).map((name) =>
        pathFromBytes(name),
      );
    } catch (error) {
      return errnoOf(error) ?? 'EIO';
    }
  }

  /** An existing regular file, open for reading. ELOOP where it is a symlink, EISDIR a folder, else EINVAL. */
  openFile(name: BytePath): { fd: number } | Errno {
    const bytes = component(name);
    if (!bytes) return 'EINVAL';
    const stat = lstatAt(this.fd, bytes);
    if (typeof stat === 'string') return stat;
    if (stat.kind !== 'file')
      return stat.kind === 'symlink' ? 'ELOOP' : stat.kind === 'directory' ? 'EISDIR' : 'EINVAL';
    // Should a FIFO come into its place now: not to hang.
    const fd = openat(this.fd, bytes, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    return fd < 0 ? lastErrno() : { fd };
  }

  /** For setting metadata by name: of symlinks, of folders when all in them is done. Must be closed. */
  handle(name: BytePath): PathHandle | Errno {
    const bytes = component(name);
    return bytes ? PathHandle.open(this.fd, bytes) : 'EINVAL';
  }

  #underNewName(make: (name: BytePath) => Errno | undefined): { name: BytePath } | Errno {
    for (;;) {
      const name = temporaryName();
      const errno = make(name);
      if (errno === undefined) return { name };
      if (errno !== 'EEXIST') return errno;
    }
  }

  #named(name: BytePath, call: (bytes: Buffer) => number | 'EINVAL'): Errno | undefined {
    const bytes = component(name);
    const result = bytes ? call(bytes) : 'EINVAL';
    if (result === 'EINVAL') return result;
    return result === 0 ? undefined : lastErrno();
  }
}

/** A name that nobody can foresee, for a file not yet complete. */
export function temporaryName(): BytePath {
  if (randomnessUsed === randomness.length) {
    randomFillSync(randomness);
    randomnessUsed = 0;
  }
  const hex = randomness.toString('hex', randomnessUsed, (randomnessUsed += RANDOM_BYTES));
  return `${TEMPORARY_PREFIX}${hex}` as BytePath;
}

/** The chain of folders could not be gone down to its end. */
export interface DirFailure {
  errno: Errno;
  /** Which of the components, counted from 0. */
  at: number;
}

/** Goes down from an open folder, a component at a time. The result is the caller's to close. */
export function openDirBelow(
  root: SafeDir,
  components: readonly BytePath[],
  options: { create?: boolean } = {},
): SafeDir | DirFailure {
  let current = root.openSelf();
  for (const [at, name] of components.entries()) {
    if (typeof current === 'string') break;
    const next = current.openFolder(name, options);
    current.close();
    if (typeof next === 'string') return { errno: next, at };
    current = next;
  }
  return typeof current === 'string' ? { errno: current, at: 0 } : current;
}

/** The components of an absolute path; undefined where it is none that {@link openDirBelow} would go. */
export function componentsOf(path: BytePath): BytePath[] | undefined {
  if (path === '/') return [];
  const [before, ...names] = path.split('/') as BytePath[];
  return before === '' && names.length > 0 && names.every(isComponent) ? names : undefined;
}

/** Whether {@link componentsOf} gives the path's components, in an eighth of the time that it takes to make them. */
export function hasComponents(path: BytePath): boolean {
  return path === '/' || COMPONENTS.test(path);
}

/** A component: no `.` and no `..`. Characters that are no bytes are refused too: cut to 8 bits, U+012F would become a slash. */
const COMPONENT = `(?!\\.{1,2}(?:/|$))[\\x01-\\x2e\\x30-\\xff]{1,${NAME_MAX}}`;
const ONE_COMPONENT = new RegExp(`^${COMPONENT}$`);
const COMPONENTS = new RegExp(`^(?:/${COMPONENT})+$`);

function isComponent(name: string): boolean {
  return ONE_COMPONENT.test(name);
}

/** For system calls. */
function component(name: BytePath): Buffer | undefined {
  return isComponent(name) ? pathForSyscall(name) : undefined;
}

function openFolderAt<Opened>(
  folder: number,
  name: Uint8Array,
  follow: number,
  opened: (fd: number) => Opened,
): Opened | Errno {
  const flags = O_DIRECTORY | O_CLOEXEC | follow;
  let fd = openat(folder, name, O_RDONLY | flags, 0);
  if (fd >= 0) return opened(fd);
  let errno = lastErrno();
  if (errno === 'EACCES') {
    // May be entered though not be read.
    fd = openat(folder, name, O_PATH | flags, 0);
    if (fd >= 0) return opened(fd);
    errno = lastErrno();
  }
  if (errno !== 'ENOTDIR' || follow === 0) return errno;
  const stat = lstatAt(folder, name);
  return typeof stat !== 'string' && stat.kind === 'symlink' ? 'ELOOP' : errno;
}
