import type { Encoding } from '../config/compression.js';
import { isFrozen } from '../config/storage-class.js';
import { contentKey } from '../manifest/keys.js';
import { listAll, type ListedVersion, type ObjectStore } from '../store/port.js';
import { ListedContent } from './listed-content.js';

/** What this machine would store: what a version must be to be used in its place. */
export interface Wanted {
  bytes: Uint8Array;
  md5: string;
  enc: Encoding | undefined;
}

/** A version with just such bytes. */
export interface FoundContent {
  version: string;
  enc: Encoding | undefined;
  /** Bytes as stored. */
  size: number;
}

/** Without the first page of everything nobody knows how much there is; so many single questions come before it. */
export const QUESTIONS_FIRST = 4;

/** How much is listed below `content/`, as its first page tells. */
export interface ContentPages {
  /** Pages that all of it takes; infinite where that cannot be told. */
  pages: number;
  /** Versions in all: more or less, unless `whole`. */
  versions: number;
  /** The first page is all. */
  whole: boolean;
}

/** By one LIST. Keys are hashes, so as dense everywhere as on the first page. */
export async function contentPages(
  store: Pick<ObjectStore, 'list'>,
): Promise<ContentPages & { first: readonly ListedVersion[] }> {
  const { versions: first, next } = await store.list({ prefix: 'content/' });
  const last = first.at(-1)?.key;
  if (next === undefined || last === undefined)
    return { pages: 1, versions: first.length, whole: true, first };
  const share = Number.parseInt(last.slice('content/'.length, 'content/'.length + 8), 16) / 2 ** 32;
  const pages = share > 0 ? Math.ceil(1 / share) : Infinity;
  return { pages, versions: pages * first.length, whole: false, first };
}

/**
 * Looks up content that the catalog does not know: is a version with the very bytes this machine would store there
 * already? A listing answers for one key, or, page by page, for all of `content/`; whichever will have been fewer
 * requests. Since nobody knows beforehand how many questions come, it asks key by key until that has cost as much as
 * all pages would, and then reads the pages: at most about twice the least possible.
 *
 * A version counts only by size and MD5 ETag, and where it can be read as soon as this machine's own: whoever may add
 * objects may also add them frozen. A listing says nothing of who stored it and what its lock is.
 */
export class ContentFinder {
  readonly #store: ObjectStore;
  readonly #enabled: boolean;
  readonly #storageClass: string | undefined;
  #questions = 0;
  /** Pages that all of `content/` takes; undefined until the first page has told the density. */
  #pages: number | undefined;
  #measuring: Promise<void> | undefined;
  #pass: Promise<ListedContent> | undefined;

  /**
   * @param enabled false: nothing is ever found (`share = no`, and a store known to be empty)
   * @param storageClass this machine's own; undefined: the store's default
   */
  constructor(store: ObjectStore, enabled: boolean, storageClass?: string) {
    this.#store = store;
    this.#enabled = enabled;
    this.#storageClass = storageClass;
  }

  /**
   * An identical version, the oldest first; undefined where there is none.
   *
   * @param other another form in which this machine might have stored it; asked for where there is a version of the
   *   content that is not in the first
   */
  async find(shaHex: string, own: Wanted, other?: () => Promise<Wanted>): Promise<FoundContent | undefined> {
    if (!this.#enabled) return undefined;
    const listed = await this.#listedFor(shaHex);
    const found = findIn(listed, shaHex, own);
    if (found !== undefined || other === undefined || !listed.has(shaHex)) return found;
    return findIn(listed, shaHex, await other());
  }

  async #listedFor(shaHex: string): Promise<ListedContent> {
    if (this.#pass === undefined && this.#questions >= QUESTIONS_FIRST) await this.#measure();
    if (this.#pass === undefined && this.#questions >= (this.#pages ?? Infinity))
      this.#pass = this.#listAll();
    if (this.#pass !== undefined) return await this.#pass;
    this.#questions++;
    return this.#take((await this.#store.list({ prefix: contentKey(shaHex) })).versions);
  }

  #measure(): Promise<void> {
    this.#measuring ??= (async () => {
      const { pages, whole, first } = await contentPages(this.#store);
      if (whole) this.#pass = Promise.resolve(this.#take(first));
      else this.#pages = pages;
    })();
    return this.#measuring;
  }

  async #listAll(): Promise<ListedContent> {
    const all = new ListedContent();
    for await (const version of listAll(this.#store, { prefix: 'content/' })) this.#take([version], all);
    return all;
  }

  #take(versions: readonly ListedVersion[], into = new ListedContent()): ListedContent {
    for (const version of versions) {
      const { storageClass } = version;
      const isOwn = storageClass === undefined || storageClass === this.#storageClass;
      if (isOwn || !isFrozen(storageClass)) into.add(version);
    }
    return into;
  }
}

function findIn(
  listed: ListedContent,
  shaHex: string,
  { bytes, md5, enc }: Wanted,
): FoundContent | undefined {
  const version = listed.find(shaHex, bytes.length, md5);
  return version === undefined ? undefined : { version, enc, size: bytes.length };
}
