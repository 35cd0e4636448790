import type { ObjectTable } from '../catalog/object-table.js';
import { type EntryBlock, MANY_OBJECTS, ONE_OBJECT } from '../catalog/entry-blocks.js';
import { FileStat } from '../files/stat.js';
import { isTooLong } from '../manifest/checked-line.js';
import type { FileEntry } from '../manifest/types.js';

/** Ids whose names are others than when the catalog was written. */
export interface RenamedOwners {
  users: ReadonlySet<number>;
  groups: ReadonlySet<number>;
}

/** Whether what stands in a row of the object table is locked long enough, and what can be done about it. */
export interface LockedRows {
  isCurrent(row: number): boolean;
  /** Moves the lock out. False where that cannot be. */
  renew(row: number): boolean | Promise<boolean>;
}

/**
 * Decides whether an unchanged file's entry can be kept as it is: the very versions its line names must be there, and
 * locked long enough or renewed. The way of nearly every entry of nearly every run.
 */
export class Keeper {
  readonly #objects: LockedRows;
  readonly #table: ObjectTable;
  readonly #renamed: RenamedOwners;
  readonly #anyRenamed: boolean;
  reused = 0;

  constructor(objects: LockedRows, table: ObjectTable, renamed: RenamedOwners) {
    this.#objects = objects;
    this.#table = table;
    this.#renamed = renamed;
    this.#anyRenamed = renamed.users.size + renamed.groups.size > 0;
  }

  keep(block: EntryBlock, index: number): boolean | Promise<boolean> {
    if (this.#anyRenamed && this.#showsRenamed(block, index)) return false;
    // Early versions wrote lines that no reader takes: such a file is made anew, with fewer blocks if that is set now.
    if (isTooLong(block.linesLength) && isTooLong(block.lineEnd(index) - block.lineStart(index)))
      return false;
    const flags = block.flags(index);
    if ((flags & ONE_OBJECT) !== 0) {
      const row = this.#table.findWords(block.words, block.shaOffset(index) >> 2);
      return row >= 0 && this.#table.tag(row) === block.tag(index) && this.#keepRow(row);
    }
    if ((flags & MANY_OBJECTS) !== 0) return this.#keepBlocks(block.line(index));
    return true;
  }

  #keepRow(row: number): boolean | Promise<boolean> {
    if (this.#table.isGone(row)) return false;
    if (!this.#objects.isCurrent(row)) return this.#objects.renew(row);
    this.#table.markUsed(row);
    this.reused++;
    return true;
  }

  #keepBlocks(line: Buffer): boolean | Promise<boolean> {
    const entry = JSON.parse(line.toString()) as FileEntry;
    if (!Array.isArray(entry.dat)) return false;
    const waiting: Promise<boolean>[] = [];
    for (const { key, ver } of entry.dat) {
      const row = this.#table.find(Buffer.from(key.slice(key.indexOf('/') + 1), 'hex'));
      const kept = row >= 0 && this.#table.version(row) === ver && this.#keepRow(row);
      if (kept === false) return false;
      if (kept !== true) waiting.push(kept);
    }
    return waiting.length === 0 || Promise.all(waiting).then((all) => all.every(Boolean));
  }

  /** An ACL may show anybody; rare enough to be made anew whenever somebody was renamed. */
  #showsRenamed(block: EntryBlock, index: number): boolean {
    const stat = new FileStat(block.bytes, block.statOffset(index));
    return (
      this.#renamed.users.has(stat.uid) ||
      this.#renamed.groups.has(stat.gid) ||
      block.line(index).includes('"acl":')
    );
  }
}
