import { type BytePath, textOfPath } from '../files/byte-path.js';

const NON_ASCII = /[^\x00-\x7f]/;
/** vfat and exfat leave dots at a name's end out. */
const TRAILING_DOTS = /\.+(?=\/|$)/g;

/**
 * The same for all paths that a file system may take for one: those that fold case (vfat, exfat, NTFS, ext4 and XFS
 * where that was chosen) or compare names in a Unicode normal form (ext4 with casefold, HFS+, ZFS). It may also be the
 * same for paths that none of them confuses.
 */
export function foldedPath(path: BytePath): string {
  const folded = NON_ASCII.test(path)
    ? (textOfPath(path) ?? path).normalize('NFKD').toUpperCase().toLowerCase().normalize('NFKD')
    : path.toLowerCase();
  return folded.includes('.') ? folded.replace(TRAILING_DOTS, '') : folded;
}

const FIRST_SLOTS = 1024;

/**
 * Finds out, while a manifest is read for the first time, which of its paths may be one to a file system that folds
 * names. Takes 4 to 16 bytes for a path: of most a hash is enough.
 */
export class FoldedPaths {
  /** Hashes of folded paths, by open addressing; 0 is a free slot. */
  #slots = new Uint32Array(FIRST_SLOTS);
  #count = 0;
  /** Hashes that came twice. */
  readonly #repeated = new Set<number>();

  /** Each path once. */
  add(path: BytePath): void {
    const hash = hashOf(foldedPath(path));
    if (!this.#insert(hash)) this.#repeated.add(hash);
    else if (++this.#count * 2 > this.#slots.length) this.#grow();
  }

  /** All paths have been added: frees what only finding out took. */
  close(): void {
    this.#slots = new Uint32Array(0);
  }

  /** Whether another path may be the same one to such a file system. */
  mayCollide(path: BytePath): boolean {
    return this.#repeated.size > 0 && this.#repeated.has(hashOf(foldedPath(path)));
  }

  /** False where it is there already. */
  #insert(hash: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const found = slots[at];
      if (found === hash) return false;
      if (found !== 0) continue;
      slots[at] = hash;
      return true;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const hash of before) if (hash !== 0) this.#insert(hash);
  }
}

/** FNV-1a over UTF-16 code units, 32 bits, never 0. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0 || 1;
}
