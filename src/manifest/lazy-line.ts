import { parseLine } from './line-check.js';
import { entryPath } from './paths.js';
import type { PeekedEntry } from './peek.js';
import type { FileSystemEntry, ManifestLine } from './types.js';

/** A line of a manifest that is parsed when it is asked for. */
export class LazyLine {
  /** What it is the entry of; undefined where it is no file's, folder's or symlink's. */
  readonly entry: PeekedEntry | undefined;
  readonly #bytes: Buffer | undefined;
  readonly #explained: (error: unknown) => Error;
  #line: ManifestLine | undefined;

  /** `explained`: says where what is wrong with the line stands. */
  constructor(
    entry: PeekedEntry | undefined,
    bytes: Buffer | undefined,
    explained: (error: unknown) => Error,
    line?: ManifestLine,
  ) {
    this.entry = entry;
    this.#bytes = bytes;
    this.#explained = explained;
    this.#line = line;
  }

  /** One that is parsed already. */
  static of(line: ManifestLine): LazyLine {
    const isEntry = line.typ === 'd' || line.typ === 'l' || line.typ === 'f';
    const entry = isEntry ? { typ: line.typ, path: entryPath(line) } : undefined;
    return new LazyLine(entry, undefined, neverWrong, line);
  }

  /** The entry of which {@link entry} tells. Throws as {@link line} does. */
  get fileSystemEntry(): FileSystemEntry | undefined {
    const { line } = this;
    return line.typ === 'd' || line.typ === 'l' || line.typ === 'f' ? line : undefined;
  }

  /** Throws DAMAGED where it is no line that there can be. */
  get line(): ManifestLine {
    if (this.#line) return this.#line;
    try {
      this.#line = parseLine(this.#bytes ?? Buffer.alloc(0));
      return this.#line;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Whether both are known, without parsing, to say the same. */
  isSame(other: LazyLine): boolean {
    return this.#bytes !== undefined && other.#bytes !== undefined && this.#bytes.equals(other.#bytes);
  }
}

function neverWrong(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
