import { readFileSync, statfsSync } from 'node:fs';
import { type BytePath, joinPath, parentOf, pathForFs } from './byte-path.js';
import { PROC, RAMFS, SYSFS, TMPFS } from './file-system-types.js';
import { type FileStat, lstat } from './stat.js';

type FileSystem = 'state' | 'devices' | 'other';

/**
 * Tells what lies in a proc, sysfs or devtmpfs: no files of anybody's, but the kernel's word on this very moment. One
 * statfs for each device.
 */
export class KernelFiles {
  readonly #byDevice = new Map<string, FileSystem>();

  /** Whether a path, by its real directory, is there. `stat` is what lstat says of it. */
  has(path: BytePath, stat: FileStat): boolean {
    return this.#fileSystemOf(path, stat) !== 'other';
  }

  /**
   * Whether what stands at `rest` below a real directory, which {@link has} told to be there, is too. Below devices other
   * file systems are mounted that do hold files, such as `/dev/shm`; what is below proc and sysfs is the kernel's
   * whichever file system it calls that.
   */
  hasAllBelow(directory: BytePath, stat: FileStat, rest: readonly string[]): boolean {
    if (this.#fileSystemOf(directory, stat) === 'state' || stat.kind === 'symlink') return true;
    let at = directory;
    for (const part of rest) {
      at = joinPath(at, part);
      const found = lstat(at);
      if (typeof found === 'string') return true;
      if (!this.has(at, found)) return false;
      if (found.kind === 'symlink') return true;
    }
    return true;
  }

  #fileSystemOf(path: BytePath, stat: FileStat): FileSystem {
    const { device } = stat;
    let known = this.#byDevice.get(device);
    if (known === undefined) {
      // statfs follows a symlink; nothing is mounted on one, so it is where its directory is.
      known = fileSystemAt(stat.kind === 'symlink' ? parentOf(path) : path, device);
      this.#byDevice.set(device, known);
    }
    return known;
  }
}

function fileSystemAt(path: BytePath, device: string): FileSystem {
  let type: number;
  try {
    ({ type } = statfsSync(pathForFs(path)));
  } catch {
    return 'other';
  }
  if (type === PROC || type === SYSFS) return 'state';
  return (type === TMPFS || type === RAMFS) && isDevtmpfs(device) ? 'devices' : 'other';
}

/** By the mount table of proc(5): `36 35 0:6 / /dev rw,nosuid shared:2 - devtmpfs udev rw`. */
function isDevtmpfs(device: string): boolean {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'latin1');
  } catch {
    return false;
  }
  return mounts.split('\n').some((line) => {
    const [mount = '', fileSystem = ''] = line.split(' - ', 2);
    return mount.split(' ', 3)[2] === device && fileSystem.startsWith('devtmpfs ');
  });
}
