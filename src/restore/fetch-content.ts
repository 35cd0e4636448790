import { addAbortSignal, type Readable } from 'node:stream';
import type { Encoding } from '../config/compression.js';
import { decode, decodeStream } from '../content/decode.js';
import { throwIfAborted } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import { headOfOlder } from '../manifest/older-object.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { ByteRange, ObjectStore } from '../store/port.js';
import type { BundlePlan } from './bundle-plan.js';
import { BundleReader } from './bundle-reader.js';
import { collect, collectInto } from './collect.js';
import { MemoryBudget } from './memory-budget.js';
import { KEPT_BYTES, PlannedBundles } from './planned-bundles.js';
import { kept, Lent, type LentBytes, SectionMemory } from './section-memory.js';

/** Bytes that come `times` in a row. Good until the next is asked for. */
export interface Piece {
  bytes: Uint8Array;
  times: number;
}

export interface ContentFetcherOptions {
  /** Objects fetched at a time. */
  concurrency: number;
  /** What will be asked for of bundles. */
  plan?: BundlePlan | undefined;
  /** Why no more is to be asked for, of all that waits for its turn; undefined as long as it is. */
  stopped?: (() => Error | undefined) | undefined;
  signal?: AbortSignal | undefined;
}

/** What a content is stored as, in memory until it is released. */
export interface StoredContent {
  lent: LentBytes;
  enc: Encoding | undefined;
  what: string;
}

const MEMORY = 64 * 1024 * 1024;
/** Sections of bundles: as many as are kept for what is to come of them, and as many that files are being made from. */
const SECTIONS = 2 * KEPT_BYTES;
/** Longer blocks are not held whole. Nearly all are shorter: only snapshots come in one piece of any length. */
const STREAMED_FROM = 32 * 1024 * 1024;
/** Up to this, unpacking in one go on the main thread is cheaper than a stream. */
const AT_ONCE = 64 * 1024;

/** Up to this, a content is given whole to the thread that writes it. */
const SMALL = 4 * 1024 * 1024;
/** What encoding can add to a content: headers, and what would not compress. */
const MOST_ADDED = 4096;
const NOTHING = kept(new Uint8Array(0));

type SizedRef = ObjectRef & { size: number; n?: number };

/**
 * Brings the content of files and snapshots: the blocks of one file in order, several fetched ahead, all files
 * together in bounded memory. Nothing is unpacked beyond its recorded size.
 */
export class ContentFetcher {
  /** Requests so far. */
  requests = 0;
  readonly #store: Pick<ObjectStore, 'get' | 'head'>;
  readonly #signal: AbortSignal | undefined;
  readonly #concurrency: number;
  readonly #stopped: ContentFetcherOptions['stopped'];
  readonly #memory = new MemoryBudget(MEMORY);
  readonly #slots: MemoryBudget;
  readonly #sections = new SectionMemory(SECTIONS);
  readonly #planned: PlannedBundles | undefined;
  readonly #bundles: BundleReader;

  constructor(store: Pick<ObjectStore, 'get' | 'head'>, options: ContentFetcherOptions) {
    this.#store = store;
    this.#signal = options.signal;
    this.#concurrency = options.concurrency;
    this.#stopped = options.stopped;
    this.#slots = new MemoryBudget(options.concurrency);
    const { plan } = options;
    this.#planned = plan && new PlannedBundles(plan, (key, ver, range) => this.#section(key, ver, range));
    this.#bundles = new BundleReader((key, ver, range) =>
      this.#inSlot(async () =>
        collect(await this.#range(key, ver, range), lengthOf(range), nameOf({ key, ver })),
      ),
    );
  }

  /**
   * A content that stands whole in one object or bundle and is short ({@link isSmall}), as it is stored; at once where
   * it is here already. Not checked: it may be anything, and be longer than it should by what encoding can add.
   */
  stored(dat: DataRef, size: number): StoredContent | Promise<StoredContent> {
    if (dat === null || Array.isArray(dat)) return { lent: NOTHING, enc: undefined, what: 'no content' };
    const { enc } = dat;
    const what = nameOf(dat);
    const content = (lent: LentBytes): StoredContent => ({ lent, enc, what });
    const planned = this.#plannedBytes(dat);
    if (planned) return planned instanceof Promise ? planned.then(content) : content(planned);
    return this.#inMemory(size, async () => kept(await this.#singleBytes({ ...dat, size }))).then(content);
  }

  /**
   * The pieces of one content, `size` bytes in all (undefined: as many as there are). Throws DAMAGED where an object has other bytes than recorded,
   * and what the store throws.
   */
  async *pieces(dat: DataRef, size: number | undefined): AsyncGenerator<Piece, void> {
    if (dat === null) return;
    if (!Array.isArray(dat) && (size === undefined || dat.encIn !== undefined)) {
      yield* this.#unmeasured(dat, size);
      return;
    }
    const blocks: SizedRef[] = Array.isArray(dat) ? dat : [{ ...dat, size: size ?? 0 }];
    if (blocks.some((block) => block.size > STREAMED_FROM)) yield* this.#streamed(blocks);
    else yield* this.#ahead(blocks);
  }

  async *#ahead(blocks: readonly SizedRef[]): AsyncGenerator<Piece, void> {
    const coming: Promise<LentBytes>[] = [];
    let next = 0;
    try {
      for (const block of blocks) {
        for (; next < blocks.length && coming.length < this.#concurrency; next += 1) {
          const wanted = blocks[next];
          if (!wanted) break;
          const fetched = this.#whole(wanted);
          // Awaited below, in order; until then its failure is nobody's surprise.
          fetched.catch(() => undefined);
          coming.push(fetched);
        }
        const first = await coming[0];
        if (!first) break;
        yield { bytes: first.bytes, times: block.n ?? 1 };
        first.release();
        coming.shift();
      }
    } finally {
      for (const result of await Promise.allSettled(coming))
        if (result.status === 'fulfilled') result.value.release();
    }
  }

  #whole(block: SizedRef): Promise<LentBytes> {
    return this.#inMemory(block.size, () => this.#decoded(block));
  }

  /** What `fetch` gives, of so many bytes, which come out of the budget until they are released. */
  async #inMemory(size: number, fetch: () => Promise<LentBytes>): Promise<LentBytes> {
    const free = await this.#memory.take(size);
    try {
      const lent = await fetch();
      return new Lent(lent.bytes, () => {
        lent.release();
        free();
      });
    } catch (error) {
      free();
      throw error;
    }
  }

  async #decoded(block: SizedRef): Promise<LentBytes> {
    const expected = { size: block.size, what: nameOf(block) };
    if (block.off !== undefined || block.size <= AT_ONCE) {
      const stored = (await this.#plannedBytes(block)) ?? kept(await this.#singleBytes(block));
      const encoded = stored.bytes;
      let bytes: Uint8Array | undefined;
      try {
        bytes = decode(encoded, block.enc, expected);
      } finally {
        if (bytes !== encoded) stored.release();
      }
      return bytes === encoded ? stored : kept(bytes);
    }
    return this.#inSlot(async () => {
      const bytes = Buffer.allocUnsafe(block.size);
      let at = 0;
      for await (const piece of decodeStream(await this.#get(block), block.enc, expected)) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return kept(bytes);
    });
  }

  /** A member whose section is fetched whole. */
  #plannedBytes({ key, ver, off, len }: ObjectRef): LentBytes | Promise<LentBytes> | undefined {
    if (off === undefined || len === undefined) return undefined;
    return this.#planned?.read({ key, ver, off, len });
  }

  async #singleBytes(block: SizedRef): Promise<Uint8Array> {
    const { key, ver, off, len } = block;
    if (off !== undefined && len !== undefined) return this.#bundles.read({ key, ver, off, len });
    return this.#inSlot(async () =>
      collect(await this.#get(block), block.len ?? block.size + MOST_ADDED, nameOf(block)),
    );
  }

  async #section(key: string, ver: string, range: ByteRange): Promise<LentBytes> {
    // Before the slot: who has memory may be waiting for one.
    const lent = await this.#sections.lend(lengthOf(range));
    const { bytes } = lent;
    try {
      const length = await this.#inSlot(async () =>
        collectInto(bytes, await this.#range(key, ver, range), nameOf({ key, ver })),
      );
      return new Lent(bytes.subarray(0, length), () => lent.release());
    } catch (error) {
      lent.release();
      throw error;
    }
  }

  async #inSlot<T>(request: () => Promise<T>): Promise<T> {
    const slot = await this.#slots.take(1);
    try {
      const reason = this.#stopped?.();
      if (reason) throw reason;
      return await request();
    } finally {
      slot();
    }
  }

  async *#streamed(blocks: readonly SizedRef[]): AsyncGenerator<Piece, void> {
    for (const block of blocks) {
      for (let round = block.n ?? 1; round > 0; round -= 1) {
        const slot = await this.#slots.take(1);
        try {
          const expected = { size: block.size, what: nameOf(block) };
          const stored = await this.#get(block);
          for await (const bytes of decodeStream(stored, block.enc, expected)) yield { bytes, times: 1 };
        } finally {
          slot();
        }
      }
    }
  }

  /**
   * What the older format names: only the object tells how it is encoded, and nothing how long it is unpacked. gzip
   * cannot make more than about 1,000 bytes of one.
   */
  async *#unmeasured(ref: ObjectRef, size: number | undefined): AsyncGenerator<Piece, void> {
    const slot = await this.#slots.take(1);
    try {
      let { enc } = ref;
      let expected = size;
      if (ref.encIn !== undefined) {
        throwIfAborted(this.#signal);
        this.requests += 1;
        const head = await headOfOlder(this.#store, ref);
        enc = head.enc;
        if (enc === undefined) expected ??= head.size;
      }
      const stored = await this.#get(ref);
      const what = nameOf(ref);
      for await (const bytes of decodeStream(stored, enc, { size: expected, what }))
        yield { bytes, times: 1 };
    } finally {
      slot();
    }
  }

  #range(key: string, ver: string, { start, end }: ByteRange): Promise<Readable> {
    return this.#get({ key, ver, off: start, len: end - start });
  }

  async #get({ key, ver, off, len }: ObjectRef): Promise<Readable> {
    throwIfAborted(this.#signal);
    this.requests += 1;
    const range = off === undefined || len === undefined ? undefined : { start: off, end: off + len };
    const stream = await this.#store.get(key, ver, range);
    return this.#signal ? addAbortSignal(this.#signal, stream) : stream;
  }
}

/** Whether {@link ContentFetcher.stored} gives it. */
export function isSmall(dat: DataRef, size: number | undefined): size is number {
  if (size === undefined || size > SMALL || Array.isArray(dat)) return false;
  return dat === null ? size === 0 : dat.encIn === undefined;
}

/** How many requests a content takes. */
export function requestsFor(dat: DataRef): number {
  if (dat === null) return 0;
  if (Array.isArray(dat)) return dat.length;
  return dat.encIn === undefined ? 1 : 2;
}

let named = { key: '', ver: '', name: '' };

/** Remembered: of thousands of members one after the other it is the same. */
function nameOf({ key, ver }: Pick<BlockRef, 'key' | 'ver'>): string {
  if (named.key !== key || named.ver !== ver) named = { key, ver, name: versionName(key, ver) };
  return named.name;
}

function lengthOf({ start, end }: ByteRange): number {
  return end - start;
}
