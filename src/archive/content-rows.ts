import type { ObjectTable } from '../catalog/object-table.js';
import type { EncodedBlock, ReadHandlers } from '../content/types.js';
import { bundleKey, contentKey } from '../manifest/keys.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { Bundled } from './bundler.js';
import { type ContentObjects, rowOf } from './content-objects.js';

/** What a file's content came to. */
export interface SettledContent {
  dat: DataRef;
  /** Of the only object, its SHA-256 and the reference's tag; undefined for blocks and for no content. */
  single: { sha: Uint8Array; tag: number } | undefined;
}

/** Turns blocks as they are read into the references that a manifest line carries. */
export class ContentRows {
  readonly #objects: ContentObjects;
  readonly #table: ObjectTable;

  constructor(objects: ContentObjects, table: ObjectTable) {
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

interface CollectedBlock {
  sha: Uint8Array;
  size: number;
  count: number;
  row: Bundled['row'];
}

/** Takes a file's blocks as they are read. */
export class FileBlocks implements ReadHandlers {
  readonly #objects: ContentObjects;
  readonly #rows: ContentRows;
  #blocks: CollectedBlock[] = [];

  constructor(objects: ContentObjects, rows: ContentRows) {
    this.#objects = objects;
    this.#rows = rows;
  }

  /** Resolves when more can come: the store has the block, or a bundle has taken it. */
  block({ sha, size, stored }: EncodedBlock): Promise<void> | undefined {
    if (stored === undefined) {
      const last = this.#blocks.at(-1);
      if (last === undefined) throw new Error('a repeated block with none before it');
      last.count++;
      return undefined;
    }
    // The first block is short only where it is the only one.
    const fileSize = this.#blocks.length === 0 ? size : undefined;
    const { accepted, row } = this.#objects.ensure(sha, stored, fileSize);
    this.#blocks.push({ sha, size, count: 1, row });
    return accepted;
  }

  restart(): void {
    this.#blocks = [];
  }

  /** Calls back when the store has all of it: at once where it does. */
  whenSettled(settled: (content: SettledContent) => void, failed: (error: unknown) => void): void {
    const [first] = this.#blocks;
    if (first === undefined) settled({ dat: null, single: undefined });
    else if (this.#blocks.length > 1 || first.count > 1) this.#several().then(settled).catch(failed);
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

  #single(row: number, sha: Uint8Array): SettledContent {
    return { dat: this.#rows.ref(row, sha), single: { sha, tag: this.#objects.tag(row) } };
  }

  async #several(): Promise<SettledContent> {
    const rows = await Promise.all(this.#blocks.map((block) => rowOf(block)));
    const dat: BlockRef[] = this.#blocks.map(({ sha, size, count }, index) => ({
      ...this.#rows.ref(rows[index] ?? -1, sha),
      size,
      ...(count === 1 ? {} : { n: count }),
    }));
    return { dat, single: undefined };
  }
}
