import { createHash } from 'node:crypto';
import { SysbackupError } from '../errors.js';
import type { DataRef, FileEntry } from '../manifest/types.js';
import type { ContentFetcher } from './fetch-content.js';
import { MemoryBudget } from './memory-budget.js';

/** Up to this a file is fetched and found right before its header goes out. */
export const FETCHED_WHOLE = 4 * 1024 * 1024;
const MEMORY = 32 * 1024 * 1024;

/**
 * A file's whole content, in memory until it is released; or its length, where that was not known before and is too
 * much for that; or why it could not be had.
 */
export interface WholeContent {
  result: { bytes: Uint8Array } | { size: number } | { error: unknown };
  release(): void;
}

/** Fetches small files ahead of their turn, in bounded memory, in the order that they are asked for. */
export class ContentAhead {
  readonly #fetcher: ContentFetcher;
  readonly #memory = new MemoryBudget(MEMORY);

  constructor(fetcher: ContentFetcher) {
    this.#fetcher = fetcher;
  }

  /** Never rejects. What it gives is known to be right. */
  async fetch(entry: FileEntry): Promise<WholeContent> {
    return await this.#fetched(entry, await this.#memory.take(entry.size ?? FETCHED_WHOLE));
  }

  /** Out of turn: others hold what memory there is until after it, so it asks for none. */
  async fetchAtOnce(entry: FileEntry): Promise<WholeContent> {
    return await this.#fetched(entry, () => undefined);
  }

  async #fetched({ dat, sha, size }: FileEntry, release: () => void): Promise<WholeContent> {
    try {
      if (size === undefined) return { result: await this.#measured(dat, sha), release };
      const bytes = Buffer.allocUnsafe(size);
      let at = 0;
      for await (const piece of this.#fetcher.pieces(dat, size))
        for (let round = 0; round < piece.times && at < size; round += 1) {
          bytes.set(piece.bytes.subarray(0, size - at), at);
          at += piece.bytes.length;
        }
      checkSha(createHash('sha256').update(bytes).digest('hex'), sha);
      return { result: { bytes }, release };
    } catch (error) {
      return { result: { error }, release };
    }
  }

  /** The older format knows no lengths. */
  async #measured(dat: DataRef, sha: string): Promise<{ bytes: Uint8Array } | { size: number }> {
    const hash = createHash('sha256');
    const kept: Uint8Array[] = [];
    let size = 0;
    for await (const { bytes } of this.#fetcher.pieces(dat, undefined)) {
      hash.update(bytes);
      size += bytes.length;
      if (size <= FETCHED_WHOLE) kept.push(Uint8Array.from(bytes));
      else kept.length = 0;
    }
    checkSha(hash.digest('hex'), sha);
    return size <= FETCHED_WHOLE ? { bytes: Buffer.concat(kept) } : { size };
  }
}

/** Throws DAMAGED. */
export function checkSha(is: string, recorded: string): void {
  if (is !== recorded)
    throw new SysbackupError('DAMAGED', `its content has the SHA-256 ${is} where ${recorded} is recorded`);
}
