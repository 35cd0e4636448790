import type { BytePath } from '../files/byte-path.js';
import type { FileEntry } from '../manifest/types.js';

/** The path under which an inode with several links was restored first. */
export interface FirstLink {
  path: BytePath;
  /** The inode in the target; undefined until it is there. */
  inodeId: string | undefined;
  /** While it is under way: whether it came through. */
  coming: Promise<boolean> | undefined;
}

/** Which paths of a manifest are one file. Takes memory for each file with several links, about 200 bytes. */
export class HardLinks {
  readonly #firsts = new Map<string, FirstLink>();

  /**
   * The first path of the file that this entry is another name of; undefined where it is the first itself, and
   * then {@link begin} must be called. Two entries of one id that claim different contents are two files.
   */
  firstOf(entry: FileEntry): FirstLink | undefined {
    return this.#firsts.get(keyOf(entry));
  }

  /** This path is the first; the returned function is called with the inode, or with undefined where it failed. */
  begin(entry: FileEntry, path: BytePath): (inodeId: string | undefined) => void {
    const key = keyOf(entry);
    let settle: (came: boolean) => void = () => undefined;
    const coming = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const first: FirstLink = { path, inodeId: undefined, coming };
    this.#firsts.set(key, first);
    return (inodeId) => {
      first.inodeId = inodeId;
      first.coming = undefined;
      if (inodeId === undefined && this.#firsts.get(key) === first) this.#firsts.delete(key);
      settle(inodeId !== undefined);
    };
  }
}

function keyOf({ id, sha, size }: FileEntry): string {
  return `${id} ${size} ${sha}`;
}
