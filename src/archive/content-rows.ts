import type { ObjectTable } from '../catalog/object-table.js';
import type { EncodedBlock } from '../content/types.js';
import { bundleKey, contentKey } from '../manifest/keys.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { ContentObjects } from './content-objects.js';

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
    return new FileBlocks(this.#objects, (row, sha) => this.ref(row, sha));
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

  /** Resolves when more can come: the store has the block, or a bundle has taken it. */
  async add({ sha, size, stored }: EncodedBlock): Promise<void> {
    if (stored === undefined) {
      const last = this.#blocks.at(-1);
      if (last === undefined) throw new Error('a repeated block with none before it');
      last.count++;
      return;
    }
    // The first block is short only where it is the only one.
    const { accepted, row } = this.#objects.ensure(sha, stored, this.#blocks.length === 0 ? size : undefined);
    row.catch(() => undefined); // heard of in settle()
    // A copy: the hash is a view of what came over from the worker, contents of many files among it.
    this.#blocks.push({ sha: Buffer.from(sha), size, count: 1, row });
    await accepted;
  }

  clear(): void {
    this.#blocks = [];
  }

  async settle(): Promise<SettledContent> {
    const rows = await Promise.all(this.#blocks.map((block) => block.row));
    const [first] = this.#blocks;
    if (first === undefined) return { dat: null, single: undefined };
    if (this.#blocks.length === 1 && first.count === 1) {
      const row = rows[0] ?? -1;
      return { dat: this.#ref(row, first.sha), single: { sha: first.sha, tag: this.#objects.tag(row) } };
    }
    const dat: BlockRef[] = this.#blocks.map(({ sha, size, count }, index) => ({
      ...this.#ref(rows[index] ?? -1, sha),
      size,
      ...(count === 1 ? {} : { n: count }),
    }));
    return { dat, single: undefined };
  }
}
