import { hash } from 'node:crypto';
import type { Journal } from '../catalog/journal.js';
import type { ObjectRecord, ObjectTable } from '../catalog/object-table.js';
import type { UnprovenContent } from '../catalog/unproven-content.js';
import type { EventListener } from '../events.js';
import { bundleKey, contentKey } from '../manifest/keys.js';
import type { Encoding } from '../config/compression.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import { type Bundled, Bundler, type ComingRow } from './bundler.js';
import type { OtherForm } from '../content/other-gzip.js';
import type { ContentFinder, Wanted } from './find-content.js';
import { isIntact } from './intact.js';
import { LockExtension } from './lock-extension.js';

export interface ContentObjectsOptions {
  store: ObjectStore;
  table: ObjectTable;
  /** What a rebuilt catalog has of content objects. */
  unproven?: UnprovenContent | undefined;
  journal: Journal;
  locks: LockDates;
  finder: ContentFinder;
  /** What the other gzip library would have made of it, where there is one. */
  otherGzip?: OtherForm | undefined;
  onEvent: EventListener;
  /** Bytes; files below go into bundles. 0: none do. */
  bundleBelow: number;
  /** Bytes of a bundle: see `BundlerOptions` of bundler.ts. */
  maxBytes?: number;
  gzipBundles?: boolean;
  /** Awaited after each PUT: a run that takes days keeps its first locks up. */
  afterPut: () => Promise<void>;
  storageClass?: string;
}

/** Extensions begun before the first is awaited; how many are under way is the store's affair. */
const EXTENSIONS_AT_ONCE = 1024;

/** What is left of a block once its bytes are on their way. */
export interface StoredBlock {
  bytes: Uint8Array;
  /** Undefined where the reader expected it to go into a bundle. */
  md5: string | undefined;
  enc: Encoding | undefined;
}

/**
 * Sees to it that content is in the store and locked long enough, each object once per run however many files have
 * it, and remembers what the store confirmed, in the journal before anything relies on it.
 */
export class ContentObjects {
  readonly #options: ContentObjectsOptions;
  readonly #table: ObjectTable;
  /** By SHA: under way now. */
  readonly #underWay = new Map<string, ComingRow>();
  readonly #storing = new Set<Promise<number>>();
  readonly #renewals = new Map<number, Promise<boolean>>();
  readonly #bundleRenewals = new Map<number, Promise<boolean>>();
  readonly #bundler: Bundler;
  /** For what lives on of bundles that are let go: it has lasted, and what has lasted will. */
  readonly #survivors: Bundler;
  readonly #stored = { objects: 0, bytes: 0 };
  readonly extension: LockExtension;
  reused = 0;

  constructor(options: ContentObjectsOptions) {
    this.#options = options;
    this.#table = options.table;
    this.extension = new LockExtension(options.store, options.onEvent);
    const ended = (members: readonly { sha: Uint8Array }[]) => {
      for (const { sha } of members) this.#underWay.delete(mapKey(sha));
    };
    this.#bundler = new Bundler({ ...options, ended });
    this.#survivors = new Bundler({ ...options, ended });
  }

  get renewed(): number {
    return this.extension.extended;
  }

  get stored(): { objects: number; bytes: number } {
    const [fresh, moved] = [this.#bundler.stored, this.#survivors.stored];
    return {
      objects: this.#stored.objects + fresh.objects + moved.objects,
      bytes: this.#stored.bytes + fresh.bytes + moved.bytes,
    };
  }

  /**
   * Stores the block, or finds it stored. The hash is kept; the bytes are needed until it is accepted.
   *
   * @param fileSize of a file that is this block: small ones go into bundles
   */
  ensure(sha: Uint8Array, block: StoredBlock, fileSize?: number): Bundled {
    const row = this.#find(sha, block);
    if (this.#useCurrent(row)) return { accepted: undefined, row };
    const key = mapKey(sha);
    const known = this.#underWay.get(key);
    // What another file waits for, a bundle may take: waiting for it here could be waiting for oneself.
    if (known !== undefined) return { accepted: undefined, row: known };
    const { bundleBelow, store } = this.#options;
    const small = fileSize !== undefined && fileSize < bundleBelow;
    const mayBeThere = row < 0 && store.damage !== undefined && this.#unprovenFor(sha, block) !== undefined;
    if (small && !mayBeThere && (row < 0 || this.#table.isGone(row))) {
      const bundled = this.#addToBundle(sha, row, block, fileSize);
      this.#underWay.set(key, bundled.row);
      return bundled;
    }
    const bundled =
      small && !mayBeThere ? this.#renewOrBundle(sha, row, block, fileSize) : this.#byItself(sha, row, block);
    const rows = bundled.row.rows.finally(() => this.#underWay.delete(key));
    rows.catch(() => undefined); // heard of by whoever has the row
    const coming = { rows, index: 0 };
    this.#underWay.set(key, coming);
    return { accepted: bundled.accepted, row: coming };
  }

  /**
   * The row of content that needs no bytes to be kept: it is locked long enough, or is being stored by somebody else; a
   * promise where its lock must be renewed. Undefined: {@link ensure} it with its bytes.
   */
  known(sha: Uint8Array): Bundled['row'] | undefined | Promise<number | undefined> {
    const row = this.#table.find(sha);
    if (this.#useCurrent(row)) return row;
    const coming = this.#underWay.get(mapKey(sha));
    if (coming !== undefined || row < 0 || this.#table.isGone(row)) return coming;
    return this.renew(row).then((kept) => {
      if (kept) this.reused++;
      return kept ? row : undefined;
    });
  }

  /** Uses the object of a row where it is there and locked long enough; else, and for -1, false. */
  #useCurrent(row: number): boolean {
    if (row < 0 || !this.isCurrent(row)) return false;
    this.#table.markUsed(row);
    this.reused++;
    return true;
  }

  /** The row of what is known, or is now known since the bytes at hand prove it; or -1. */
  #find(sha: Uint8Array, block: StoredBlock): number {
    const row = this.#table.find(sha);
    // What a directory says of a file's MD5 is what was stored once: there it is looked at first ({@link #lookUp}).
    if (row >= 0 || this.#options.store.damage !== undefined) return row;
    const proven = this.#unprovenFor(sha, block);
    return proven === undefined ? -1 : this.#table.set(sha, 0, { ...proven, enc: block.enc });
  }

  /** What a rebuilt catalog has of it: such bytes, as far as the store says. */
  #unprovenFor(sha: Uint8Array, block: StoredBlock): ObjectRecord | undefined {
    const { unproven } = this.#options;
    if (unproven === undefined || unproven.size === 0) return undefined;
    return unproven.find(sha, block.bytes.length, md5Of(block));
  }

  tag(row: number): number {
    return this.#table.tag(row);
  }

  /** Sends the bundles that are being filled, without waiting for more. */
  flush(): void {
    this.#bundler.flush();
    this.#survivors.flush();
  }

  #addToBundle(
    sha: Uint8Array,
    row: number,
    { enc, bytes }: StoredBlock,
    size: number,
  ): Bundled & { row: ComingRow } {
    return (row < 0 ? this.#bundler : this.#survivors).add({ sha, enc, bytes, size });
  }

  /** An object of its own that can be renewed is kept; anything else goes into a bundle. */
  #renewOrBundle(
    sha: Uint8Array,
    row: number,
    block: StoredBlock,
    size: number,
  ): Bundled & { row: ComingRow } {
    const bundled = this.renew(row).then((kept) =>
      kept ? undefined : this.#addToBundle(sha, row, block, size),
    );
    return {
      accepted: bundled.then((added) => added?.accepted),
      row: {
        rows: bundled.then(async (added) => [added === undefined ? row : await rowOf(added)]),
        index: 0,
      },
    };
  }

  /** Content that is stored by itself takes no more until it is. */
  #byItself(sha: Uint8Array, row: number, block: StoredBlock): Bundled & { row: ComingRow } {
    const hex = Buffer.from(sha.buffer, sha.byteOffset, 32).toString('hex');
    const stored = this.#ensure(sha, hex, row, block);
    return {
      accepted: stored.then(() => undefined),
      row: { rows: stored.then((stored) => [stored]), index: 0 },
    };
  }

  /** Whether the row's object is there and locked as long as this run needs. */
  isCurrent(row: number): boolean {
    return !this.#table.isGone(row) && !this.#options.locks.isDue(this.#table.until(row));
  }

  /**
   * Moves the lock of a known object out. Resolves to false where the store will not, and the lock it has is too
   * short: the content must be stored anew, and the row counts as gone.
   *
   * @param locks how far; default: the run's
   */
  renew(row: number, locks: LockDates = this.#options.locks): Promise<boolean> {
    const known = this.#renewals.get(row);
    if (known !== undefined) return known;
    const work = this.#renew(row, locks).finally(() => this.#renewals.delete(row));
    this.#renewals.set(row, work);
    return work;
  }

  /**
   * Extends whatever this run has used and `locks` finds too short. Returns the keys of what could not be: it is
   * named by lines that are written already, so that nothing is left but to say so.
   */
  async extendUsed(locks: LockDates): Promise<string[]> {
    const refused: string[] = [];
    let batch: Promise<void>[] = [];
    const { bundles } = this.#table;
    for (let bundle = 0; bundle < bundles.size; bundle++) {
      const { sha, live, until } = bundles.get(bundle);
      if (live === 0 || !locks.isDue(until)) continue;
      if (!(await this.#renewBundle(bundle, locks, true))) refused.push(bundleKey(sha.toString('hex')));
    }
    for (let row = 0; row < this.#table.size; row++) {
      if (!this.#table.isUsed(row) || this.#table.isMember(row)) continue;
      if (!locks.isDue(this.#table.until(row))) continue;
      const extended = this.renew(row, locks).then((kept) => {
        if (!kept) refused.push(contentKey(this.#table.sha(row).toString('hex')));
      });
      batch.push(extended);
      if (batch.length >= EXTENSIONS_AT_ONCE) {
        await Promise.all(batch);
        batch = [];
      }
    }
    await Promise.all(batch);
    return refused;
  }

  /** Resolves when nothing is under way any more, however it ended: what is confirmed is in the journal then. */
  async settled(): Promise<void> {
    await Promise.all([this.#bundler.settled(), this.#survivors.settled()]);
    await Promise.allSettled([
      ...this.#storing,
      ...this.#renewals.values(),
      ...this.#bundleRenewals.values(),
    ]);
  }

  async #ensure(sha: Uint8Array, hex: string, knownRow: number, block: StoredBlock): Promise<number> {
    if (knownRow >= 0 && !this.#table.isGone(knownRow) && (await this.renew(knownRow))) {
      this.reused++;
      return knownRow;
    }
    const md5 = md5Of(block);
    const found = knownRow >= 0 ? undefined : await this.#lookUp(sha, hex, { ...block, md5 });
    if (found !== undefined) {
      const row = this.#table.set(sha, 0, found);
      if (found.until > 0 && this.#useCurrent(row)) return row;
      if (await this.renew(row)) {
        this.reused++;
        return row;
      }
    }
    return await this.#put(sha, hex, { ...block, md5 });
  }

  /** What the store has of it already, with the end of its lock where that is known. */
  async #lookUp(sha: Uint8Array, hex: string, block: Wanted): Promise<ObjectRecord | undefined> {
    const { finder, otherGzip, store } = this.#options;
    const unproven = this.#unprovenFor(sha, block);
    if (unproven !== undefined && (await isIntact(store, contentKey(hex), unproven.version)))
      return { ...unproven, enc: block.enc };
    const other = block.enc === 'gzip' ? otherGzip : undefined;
    const found = await finder.find(hex, block, other && (() => other(block.bytes)));
    if (found === undefined || !(await isIntact(store, contentKey(hex), found.version))) return undefined;
    return { ...found, until: 0 };
  }

  #put(sha: Uint8Array, hex: string, block: StoredBlock & { md5: string }): Promise<number> {
    const storing = this.#store(sha, hex, block).finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
    return storing;
  }

  async #store(sha: Uint8Array, hex: string, block: StoredBlock & { md5: string }): Promise<number> {
    const { store, locks, onEvent, journal, storageClass } = this.#options;
    const until = locks.untilFor(sha);
    const key = contentKey(hex);
    const { version } = await store.put({
      key,
      body: { bytes: block.bytes, md5: block.md5, size: block.bytes.length },
      retention: locks.retention(until),
      ...(block.enc === undefined ? {} : { metadata: { 'storage-encoding': block.enc } }),
      ...(storageClass === undefined ? {} : { storageClass }),
    });
    const size = block.bytes.length;
    journal.add({ sha: hex, version, until, size, ...(block.enc === undefined ? {} : { enc: block.enc }) });
    const row = this.#table.set(sha, 0, { version, enc: block.enc, until, size });
    this.#table.markUsed(row);
    this.#stored.objects++;
    this.#stored.bytes += size;
    onEvent({ type: 'stored', key, version, size, until });
    await this.#options.afterPut();
    return row;
  }

  async #renew(row: number, locks: LockDates): Promise<boolean> {
    if (this.#table.isMember(row)) {
      const kept = await this.#renewBundle(this.#table.member(row).bundle, locks);
      if (kept) this.#table.markUsed(row);
      return kept;
    }
    const sha = Buffer.from(this.#table.sha(row));
    const hex = sha.toString('hex');
    const version = this.#table.version(row);
    const held = await this.extension.extend(contentKey(hex), version, locks.untilFor(sha), locks);
    if (held === undefined) {
      this.#table.markGone(row);
      return false;
    }
    const enc = this.#table.encoding(row);
    const size = this.#table.storedSize(row);
    this.#options.journal.add({
      sha: hex,
      version,
      until: held,
      ...(enc === undefined ? {} : { enc }),
      ...(size === undefined ? {} : { size }),
    });
    this.#table.setUntil(row, held);
    this.#table.markUsed(row);
    return true;
  }

  /** A bundle of which the last run named less than half is let go: what lives on in it is bundled anew. */
  #renewBundle(bundle: number, locks: LockDates, always = false): Promise<boolean> {
    const known = this.#bundleRenewals.get(bundle);
    if (known !== undefined) return known;
    const work = this.#extendBundle(bundle, locks, always).finally(() => this.#bundleRenewals.delete(bundle));
    this.#bundleRenewals.set(bundle, work);
    return work;
  }

  async #extendBundle(bundle: number, locks: LockDates, always: boolean): Promise<boolean> {
    const { bundles } = this.#table;
    const { sha, version, until, size, lastLive, gone } = bundles.get(bundle);
    if (gone) return false;
    if (!locks.isDue(until)) return true;
    const key = bundleKey(sha.toString('hex'));
    const worthIt = always || isWorthKeeping({ size, lastLive });
    const held = worthIt ? await this.extension.extend(key, version, locks.untilFor(sha), locks) : undefined;
    if (held === undefined) {
      bundles.markGone(bundle);
      return false;
    }
    bundles.setUntil(bundle, held);
    return true;
  }
}

/** Whether the last run named half of a bundle at least. */
export function isWorthKeeping({ size, lastLive }: { size: number; lastLive: number }): boolean {
  return lastLive * 2 >= size;
}

/** The row, once it is known. */
export async function rowOf({ row }: Pick<Bundled, 'row'>): Promise<number> {
  return typeof row === 'number' ? row : ((await row.rows)[row.index] ?? -1);
}

function md5Of({ md5, bytes }: StoredBlock): string {
  return md5 ?? hash('md5', bytes);
}

function mapKey(sha: Uint8Array): string {
  return Buffer.from(sha.buffer, sha.byteOffset, 32).toString('latin1');
}
