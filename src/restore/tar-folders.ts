import type { BytePath } from '../files/byte-path.js';
import type { DirectoryEntry } from '../manifest/types.js';

/** One character after the slash in byte order: what is not below a path `p` and comes after all that is. */
const AFTER_SLASH = '0';

interface OpenFolder {
  path: BytePath;
  entry: DirectoryEntry;
  /** A member came that is not in it. */
  isLeft: boolean;
  /** After that one came that is. */
  isLate: boolean;
}

/**
 * Which folders above a member have to come before it, and whether it can have a place at all. Paths are told in
 * byte order.
 */
export class TarFolders {
  /** Folders that were not selected, but may lie above something that is. */
  readonly #above = new Map<BytePath, DirectoryEntry>();
  /** What is no folder: nothing can lie below it, and who unpacked it would follow a symlink. */
  #leaves: BytePath[] = [];

  /** Folders that have gone out, and below which more may come. */
  #open: OpenFolder[] = [];

  /** A folder's entry that was not selected. */
  passBy(path: BytePath, entry: DirectoryEntry): void {
    if (path === '/') return;
    for (const above of this.#above.keys()) if (isPast(path, above)) this.#above.delete(above);
    this.#above.set(path, entry);
  }

  /** A file or symlink, selected or not. */
  leaf(path: BytePath): void {
    this.#leaves = this.#leaves.filter((leaf) => !isPast(path, leaf));
    this.#leaves.push(path);
  }

  /** What stands where a folder above this path would have to be. */
  blockedBy(path: BytePath): BytePath | undefined {
    return this.#leaves.find((leaf) => isBelow(path, leaf));
  }

  /**
   * A member comes now. Returns the folders that have to come once more before it, since GNU tar gives a folder its
   * time when the first member comes that is not in it, and then more came: `a/`, `a.conf`, `a/b` is byte order.
   */
  comes(path: BytePath): [BytePath, DirectoryEntry][] {
    const again: [BytePath, DirectoryEntry][] = [];
    this.#open = this.#open.filter((folder) => {
      const isOver = isPast(path, folder.path);
      if (isOver && folder.isLate) again.unshift([folder.path, folder.entry]);
      else if (!isBelow(path, folder.path)) folder.isLeft = true;
      else if (folder.isLeft) folder.isLate = true;
      return !isOver;
    });
    return again;
  }

  /** A folder has gone out, for the first time. */
  went(path: BytePath, entry: DirectoryEntry): void {
    this.#open.push({ path, entry, isLeft: false, isLate: false });
  }

  /** All members have gone out. Returns the folders that have to come once more. */
  end(): [BytePath, DirectoryEntry][] {
    return this.#open
      .filter(({ isLate }) => isLate)
      .map(({ path, entry }): [BytePath, DirectoryEntry] => [path, entry])
      .reverse();
  }

  /** Those above a member that have not been asked for before, from the top down. */
  take(path: BytePath): [BytePath, DirectoryEntry][] {
    const found = [...this.#above].filter(([above]) => isBelow(path, above));
    for (const [above] of found) this.#above.delete(above);
    return found;
  }
}

function isBelow(path: BytePath, folder: BytePath): boolean {
  return folder === '/' || path.startsWith(`${folder}/`);
}

function isPast(path: BytePath, before: BytePath): boolean {
  if (before === '/') return false;
  return path >= `${before}${AFTER_SLASH}`;
}
