import { addAbortSignal, type Readable } from 'node:stream';
import type { Encoding } from '../config/compression.js';
import { decode, decodeStream } from '../content/decode.js';
import { SysbackupError, throwIfAborted } from '../errors.js';
import { headOfOlder } from '../manifest/older-object.js';
import type { BlockRef, DataRef, ObjectRef } from '../manifest/types.js';
import type { ByteRange, ObjectStore } from '../store/port.js';
import type { BundlePlan } from './bundle-plan.js';
import { BundleReader, type FetchRange, type MemberPlace } from './bundle-reader.js';
import { MemoryBudget } from './memory-budget.js';
import { PlannedBundles } from './planned-bundles.js';

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
  bytes: Uint8Array;
  enc: Encoding | undefined;
  what: string;
  release(): void;
}

const MEMORY = 64 * 1024 * 1024;
/** Longer blocks are not held whole. Nearly all are shorter: only snapshots come in one piece of any length. */
const STREAMED_FROM = 32 * 1024 * 1024;
/** Up to this, unpacking in one go on the main thread is cheaper than a stream. */
const AT_ONCE = 64 * 1024;

/** Up to this, a content is given whole to the thread that writes it. */
const SMALL = 4 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

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
  readonly #bundles: { read(member: MemberPlace): Promise<Uint8Array> };

  constructor(store: Pick<ObjectStore, 'get' | 'head'>, options: ContentFetcherOptions) {
    this.#store = store;
    this.#signal = options.signal;
    this.#concurrency = options.concurrency;
    this.#stopped = options.stopped;
    this.#slots = new MemoryBudget(options.concurrency);
    const fetch: FetchRange = (key, ver, range) => this.#inSlot(() => this.#range(key, ver, range));
    this.#bundles = options.plan ? new PlannedBundles(options.plan, fetch) : new BundleReader(fetch);
  }

  /**
   * A content that stands whole in one object or bundle and is short ({@link isSmall}), as it is stored. Not checked:
   * it may be anything, and be longer than it should by what encoding can add.
   */
  async stored(dat: DataRef, size: number): Promise<StoredContent> {
    if (dat === null || Array.isArray(dat))
      return { bytes: NOTHING, enc: undefined, what: 'no content', release: () => undefined };
    const block = { ...dat, size };
    const release = await this.#memory.take(size);
    try {
      return { bytes: await this.#storedBytes(block), enc: dat.enc, what: nameOf(block), release };
    } catch (error) {
      release();
      throw error;
    }
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
    const coming: Promise<{ bytes: Uint8Array; release: () => void }>[] = [];
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

  async #whole(block: SizedRef): Promise<{ bytes: Uint8Array; release: () => void }> {
    const release = await this.#memory.take(block.size);
    try {
      return { bytes: await this.#decoded(block), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #decoded(block: SizedRef): Promise<Uint8Array> {
    const expected = { size: block.size, what: nameOf(block) };
    if (block.off !== undefined || block.size <= AT_ONCE)
      return decode(await this.#storedBytes(block), block.enc, expected);
    return this.#inSlot(async () => {
      const bytes = Buffer.allocUnsafe(block.size);
      let at = 0;
      for await (const piece of decodeStream(await this.#get(block), block.enc, expected)) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return bytes;
    });
  }

  async #storedBytes(block: SizedRef): Promise<Uint8Array> {
    const { key, ver, off, len } = block;
    if (off !== undefined && len !== undefined) return this.#bundles.read({ key, ver, off, len });
    return this.#inSlot(async () => collect(await this.#get(block), block));
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

  async #range(key: string, ver: string, { start, end }: ByteRange): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.#get({ key, ver, off: start, len: end - start })) {
      chunks.push(chunk as Buffer);
    }
    const [only] = chunks;
    return only && chunks.length === 1 ? only : Buffer.concat(chunks);
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

/** Encoded bytes may be a little more than the content: headers, and what would not compress. */
async function collect(stored: Readable, block: SizedRef): Promise<Uint8Array> {
  const most = block.len ?? block.size + 4096;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stored) {
    const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    length += bytes.length;
    if (length > most)
      throw new SysbackupError('DAMAGED', `${nameOf(block)} is longer than its ${block.size} bytes can be`, {
        hint: 'The stored bytes are not what was backed up; restore from another run, and verify this one.',
      });
    chunks.push(bytes);
  }
  const [only] = chunks;
  return only && chunks.length === 1 ? only : Buffer.concat(chunks, length);
}

function nameOf({ key, ver }: Pick<BlockRef, 'key' | 'ver'>): string {
  return `${key} (version ${ver})`;
}
