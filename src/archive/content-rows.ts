import type { ObjectTable } from '../catalog/object-table.js';
import type { EncodedBlock } from '../content/types.js';
import { contentKey } from '../manifest/keys.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { ContentObjects } from './content-objects.js';

/** What a file's content came to. */
export interface SettledContent {
  dat: DataRef;
  /** SHA-256 of the only object; undefined for blocks and for no content. */
  single: Uint8Array | undefined;
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
    return new FileBlocks(this.#objects, (row, sha) => this.ref(row, sha));
  }

  ref(row: number, sha: Uint8Array): ObjectRef {
    const enc = this.#table.encoding(row);
    const key = contentKey(Buffer.from(sha.buffer, sha.byteOffset, 32).toString('hex'));
    return { key, ver: this.#table.version(row), ...(enc === undefined ? {} : { enc }) };
  }
}

interface CollectedBlock {
  sha: Uint8Array;
  size: number;
  count: number;
  row: Promise<number>;
}

export class FileBlocks {
  readonly #objects: ContentObjects;
  readonly #ref: (row: number, sha: Uint8Array) => ObjectRef;
  #blocks: CollectedBlock[] = [];

  constructor(objects: ContentObjects, ref: (row: number, sha: Uint8Array) => ObjectRef) {
    this.#objects = objects;
    this.#ref = ref;
  }

  /** Resolves when the store has the block. */
  async add({ sha, size, stored }: EncodedBlock): Promise<void> {
    if (stored === undefined) {
      const last = this.#blocks.at(-1);
      if (last === undefined) throw new Error('a repeated block with none before it');
      last.count++;
      return;
    }
    const row = this.#objects.ensure(sha, stored);
    this.#blocks.push({ sha, size, count: 1, row });
    await row;
  }

  clear(): void {
    this.#blocks = [];
  }

  async settle(): Promise<SettledContent> {
    const rows = await Promise.all(this.#blocks.map((block) => block.row));
    const [first] = this.#blocks;
    if (first === undefined) return { dat: null, single: undefined };
    if (this.#blocks.length === 1 && first.count === 1) {
      return { dat: this.#ref(rows[0] ?? -1, first.sha), single: first.sha };
    }
    const dat: BlockRef[] = this.#blocks.map(({ sha, size, count }, index) => ({
      ...this.#ref(rows[index] ?? -1, sha),
      size,
      ...(count === 1 ? {} : { n: count }),
    }));
    return { dat, single: undefined };
  }
}
