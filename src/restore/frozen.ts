import { addUp } from '../add-up.js';
import type { Problem } from '../events.js';
import type { DataRef, ObjectRef } from '../manifest/types.js';

/** What of one storage class could not be read. */
export interface FrozenCount {
  objects: number;
  /** Of content, unencoded, as far as it is recorded: about as much as is stored, or more. */
  bytes: number;
}

export interface FrozenObject {
  key: string;
  ver: string;
  storageClass: string | undefined;
}

/**
 * Collects the objects that must be thawed before a restore can read them, each once. Whoever wants them thawed gives
 * an empty one to the restore, and what is in it then to {@link thaw}. About 300 bytes for each object.
 */
export class FrozenObjects {
  readonly #objects = new Map<string, FrozenObject & { bytes: number }>();

  /** A content of which an object was refused: its other objects are likely to be of that class too. */
  add(dat: DataRef, size: number | undefined, storageClass: string | undefined): void {
    if (dat === null) return;
    if (Array.isArray(dat)) for (const block of dat) this.#addOne(block, block.size, storageClass);
    else this.#addOne(dat, size ?? 0, storageClass);
  }

  get size(): number {
    return this.#objects.size;
  }

  /** By storage class; `''` where the store did not say which. */
  get counts(): Record<string, FrozenCount> {
    const counts: Record<string, FrozenCount> = {};
    for (const { storageClass = '', bytes } of this.#objects.values()) {
      const count = (counts[storageClass] ??= { objects: 0, bytes: 0 });
      count.objects += 1;
      count.bytes = addUp(count.bytes, bytes);
    }
    return counts;
  }

  [Symbol.iterator](): IterableIterator<FrozenObject & { bytes: number }> {
    return this.#objects.values();
  }

  #addOne({ key, ver, off }: ObjectRef, bytes: number, storageClass: string | undefined): void {
    const id = `${key}@${ver}`;
    const known = this.#objects.get(id);
    // Of a bundle each member counts for itself.
    if (known) known.bytes = addUp(known.bytes, off === undefined ? 0 : bytes);
    else this.#objects.set(id, { key, ver, storageClass, bytes });
  }
}

/** One for all of so many files or snapshots; undefined where none is frozen. */
export function frozenProblem(
  count: number,
  what: 'file' | 'snapshot',
  objects: FrozenObjects,
): Problem | undefined {
  if (count === 0) return undefined;
  const classes = Object.entries(objects.counts).map(
    ([name, { objects: number, bytes }]) =>
      `${number} object${number === 1 ? '' : 's'} of ${name === '' ? 'a cold class' : name} with ${bytes} bytes`,
  );
  const subject = count === 1 ? `one ${what} was` : `${count} ${what}s were`;
  return {
    severity: 'failure',
    code: 'frozen',
    message: `${subject} not restored because the content must be thawed first: ${classes.join(', ')}`,
  };
}
