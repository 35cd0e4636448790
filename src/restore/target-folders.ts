import { mkdirSync } from 'node:fs';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { baseOf, type BytePath, displayPath, parentOf, pathForFs } from '../files/byte-path.js';
import { SafeDir } from '../files/safe-dir.js';

/** An open folder of the target. It stays open at least until it is released. */
export interface HeldFolder {
  dir: SafeDir;
  /** This restore has made it, and it has not been closed since: so far nothing is in it that was there before. */
  isNew: boolean;
  release(): void;
}

/** A folder that cannot be had: which one on the way to it, and why. */
export interface FolderFailure {
  errno: string;
  at: BytePath;
}

/** One object for all who hold it: every file does. */
class Open implements HeldFolder {
  holders = 0;
  readonly dir: SafeDir;
  readonly isNew: boolean;

  constructor(dir: SafeDir, isNew: boolean) {
    this.dir = dir;
    this.isNew = isNew;
  }

  release(): void {
    this.holders -= 1;
  }
}

/** Folders kept open although nobody holds them: the next path is nearly always in one of them. */
const KEPT_OPEN = 64;

/**
 * The folders below a target, by their paths in the backup (`/` is the target). They are opened one component after
 * the other and never through a symlink.
 */
export class TargetFolders {
  /** Whether the target itself was made for this. */
  readonly madeTarget: boolean;
  /** Whether the target is the machine's `/`: paths come back to where they were. */
  readonly isRoot: boolean;
  readonly #root: SafeDir;
  /** Least recently used first. */
  readonly #open = new Map<BytePath, Open>();
  /** What was used last: of the files of one folder it is the same. */
  #latest: Open | undefined;

  private constructor(root: SafeDir, madeTarget: boolean, isRoot: boolean) {
    this.#root = root;
    this.madeTarget = madeTarget;
    this.isRoot = isRoot;
  }

  /**
   * `make`: with all folders above it, where it is not there; else undefined is returned then. Throws SYSTEM where
   * it cannot be opened.
   */
  static open(target: BytePath, make: boolean): TargetFolders | undefined {
    const made = make && makeTarget(target);
    const root = SafeDir.openTarget(target);
    if (typeof root !== 'string') return new TargetFolders(root, made, target === '/');
    if (root === 'ENOENT' && !make) return undefined;
    throw new SysbackupError('SYSTEM', `cannot open the target ${displayPath(target)}: ${root}`, {
      hint: 'Name a folder that you may write in, or one that is not there yet.',
    });
  }

  /**
   * The folder of this path (absolute, without `.` and `..`), to be released by the caller. `isNew`: it was made just
   * now.
   */
  hold(path: BytePath, { isNew = false } = {}): HeldFolder | FolderFailure {
    const open = this.holdOpen(path);
    if (open) return open;
    if (path === '/') {
      const dir = this.#root.openSelf();
      return typeof dir === 'string' ? { errno: dir, at: path } : this.#held(path, new Open(dir, isNew));
    }
    const parent = this.hold(parentOf(path));
    if ('errno' in parent) return parent;
    const dir = parent.dir.openFolder(baseOf(path));
    parent.release();
    return typeof dir === 'string' ? { errno: dir, at: path } : this.#held(path, new Open(dir, isNew));
  }

  /** The same where it is open. */
  holdOpen(path: BytePath): HeldFolder | undefined {
    const known = this.#open.get(path);
    return known && this.#held(path, known);
  }

  /** Closes all. */
  close(): void {
    for (const { dir } of this.#open.values()) dir.close();
    this.#open.clear();
    this.#root.close();
  }

  #held(path: BytePath, open: Open): HeldFolder {
    open.holders += 1;
    if (open !== this.#latest) {
      this.#open.delete(path);
      this.#open.set(path, open);
      this.#latest = open;
    }
    if (this.#open.size > KEPT_OPEN) this.#closeUnused();
    return open;
  }

  #closeUnused(): void {
    for (const [path, { dir, holders }] of this.#open) {
      if (this.#open.size <= KEPT_OPEN) return;
      if (holders > 0) continue;
      dir.close();
      this.#open.delete(path);
    }
  }
}

/** Whether there was none. Made closed to others, until it gets the mode that it had. */
function makeTarget(target: BytePath): boolean {
  try {
    return mkdirSync(pathForFs(target), { recursive: true, mode: 0o700 }) !== undefined;
  } catch (error) {
    // A symlink to a folder is one to mkdir(2) too; what it is shows when it is opened.
    if (errnoOf(error) === 'EEXIST') return false;
    throw new SysbackupError('SYSTEM', `cannot make the target ${displayPath(target)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
