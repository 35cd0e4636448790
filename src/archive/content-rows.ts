import type { ObjectTable } from '../catalog/object-table.js';
import type { EncodedBlock, HashedBlock, ReadHandlers } from '../content/types.js';
import { bundleKey, contentKey } from '../manifest/keys.js';
import { LineFault } from '../manifest/line-fault.js';
import { LONGEST_LINE } from '../manifest/lines.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { Bundled } from './bundler.js';
import { type ContentObjects, rowOf } from './content-objects.js';

/** What a file's content came to. */
export interface SettledContent {
  dat: DataRef;
  /** Of the only object, its SHA-256 and the reference's tag; undefined for blocks and for no content. */
  single: { sha: Uint8Array; tag: number } | undefined;
}

/** What {@link ContentObjects} does for a file. */
type Objects = Pick<ContentObjects, 'known' | 'ensure' | 'tag'>;

/** Turns blocks as they are read into the references that a manifest line carries. */
export class ContentRows {
  readonly #objects: Objects;
  readonly #table: ObjectTable;

  constructor(objects: Objects, table: ObjectTable) {
    this.#objects = objects;
    this.#table = table;
  }

  /** For one file. */
  collect(): FileBlocks {
    return new FileBlocks(this.#objects, this);
  }

  ref(row: number, sha: Uint8Array): ObjectRef {
    if (this.#table.isMember(row)) return this.#memberRef(row);
    const enc = this.#table.encoding(row);
    const key = contentKey(Buffer.from(sha.buffer, sha.byteOffset, 32).toString('hex'));
    return { key, ver: this.#table.version(row), ...(enc === undefined ? {} : { enc }) };
  }

  #memberRef(row: number): ObjectRef {
    const { bundle, off, len, enc } = this.#table.member(row);
    const { sha, version } = this.#table.bundles.get(bundle);
    return {
      key: bundleKey(sha.toString('hex')),
      ver: version,
      ...(enc === undefined ? {} : { enc }),
      off,
      len,
    };
  }
}

const TOO_LONG = `would have to name more blocks than there is room for in ${LONGEST_LINE} bytes (a larger [content] block_size makes fewer)`;

interface CollectedBlock {
  sha: Uint8Array;
  size: number;
  row: Bundled['row'];
}

/** Equal blocks that follow each other. */
interface Repeated extends CollectedBlock {
  count: number;
}

/**
 * Blocks in a row that differ, beyond which no line can name them all: a reference takes more than 100 bytes. Twice as
 * many, since those that come out of order count too often.
 */
const TOO_MANY = Math.ceil((2 * LONGEST_LINE) / 100);

/** Takes a file's blocks as they are read. */
export class FileBlocks implements ReadHandlers {
  readonly #objects: Objects;
  readonly #rows: ContentRows;
  #blocks: CollectedBlock[] = [];
  /** About how many differ from the one before. */
  #different = 0;
  readonly #most: number;

  /** @param most different blocks: what is read beyond is neither stored nor kept in memory */
  constructor(objects: Objects, rows: ContentRows, most = TOO_MANY) {
    this.#objects = objects;
    this.#rows = rows;
    this.#most = most;
  }

  /** Resolves to true once the store is known to have the block for as long as the run needs. */
  known({ sha, size }: HashedBlock, index: number): boolean | Promise<boolean> {
    if (this.#isTooMany()) return true;
    const blocks = this.#blocks; // those of another attempt may have taken their place before the lock is renewed
    const before = blocks[index - 1];
    if (before !== undefined && isEqual(before.sha, sha)) {
      blocks[index] = before;
      return true;
    }
    const take = (row: Bundled['row'] | undefined): boolean => {
      if (row === undefined) return false;
      this.#different++;
      blocks[index] = { sha, size, row };
      return true;
    };
    const row = this.#objects.known(sha);
    return row instanceof Promise ? row.then(take) : take(row);
  }

  /** Resolves when more can come: the store has the block, or a bundle has taken it. */
  block({ sha, size, stored }: EncodedBlock, index: number): Promise<void> | undefined {
    // The first block is short only where it is the only one.
    const { accepted, row } = this.#objects.ensure(sha, stored, index === 0 ? size : undefined);
    this.#different++;
    this.#blocks[index] = { sha, size, row };
    return accepted;
  }

  restart(): void {
    this.#blocks = [];
    this.#different = 0;
  }

  /**
   * Calls back when the store has all of it: at once where it does. Fails with a {@link LineFault} where there are more
   * blocks than a line can name.
   */
  whenSettled(settled: (content: SettledContent) => void, failed: (error: unknown) => void): void {
    if (this.#isTooMany()) {
      failed(new LineFault(TOO_LONG));
      return;
    }
    const [first] = this.#blocks;
    if (first === undefined) settled({ dat: null, single: undefined });
    else if (this.#blocks.length > 1) this.#several().then(settled).catch(failed);
    else if (typeof first.row === 'number') settled(this.#single(first.row, first.sha));
    else {
      const { sha, row } = first;
      const rowKnown = (rows: ArrayLike<number>): void => {
        try {
          settled(this.#single(rows[row.index] ?? -1, sha));
        } catch (error) {
          failed(error);
        }
      };
      row.rows.then(rowKnown, failed);
    }
  }

  settle(): Promise<SettledContent> {
    return new Promise((resolve, reject) => this.whenSettled(resolve, reject));
  }

  #isTooMany(): boolean {
    if (this.#different <= this.#most) return false;
    this.#blocks = [];
    return true;
  }

  #single(row: number, sha: Uint8Array): SettledContent {
    return { dat: this.#rows.ref(row, sha), single: { sha, tag: this.#objects.tag(row) } };
  }

  async #several(): Promise<SettledContent> {
    const runs = this.#runs();
    const rows = await Promise.all(runs.map((block) => rowOf(block)));
    const dat: BlockRef[] = runs.map(({ sha, size, count }, index) => ({
      ...this.#rows.ref(rows[index] ?? -1, sha),
      size,
      ...(count === 1 ? {} : { n: count }),
    }));
    return { dat, single: undefined };
  }

  #runs(): Repeated[] {
    const runs: Repeated[] = [];
    for (const block of this.#blocks) {
      const last = runs.at(-1);
      if (last !== undefined && isEqual(last.sha, block.sha)) last.count++;
      else runs.push({ ...block, count: 1 });
    }
    return runs;
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
