import type { Journal } from '../catalog/journal.js';
import type { ObjectTable } from '../catalog/object-table.js';
import type { EventListener } from '../events.js';
import { bundleKey } from '../manifest/keys.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import { Slabs } from './bundle-bytes.js';
import {
  type BundleTar,
  GzipBundleTar,
  MAX_BUNDLE_BYTES,
  type MemberPlace,
  PlainBundleTar,
  type TarMember,
} from './bundle-tar.js';

export interface BundlerOptions {
  store: ObjectStore;
  table: ObjectTable;
  journal: Journal;
  locks: LockDates;
  onEvent: EventListener;
  /** Called when a bundle is stored, or failed to be, before its promise says so. */
  ended?: (members: readonly { sha: Uint8Array }[]) => void;
  /** Awaited after each PUT. */
  afterPut: () => Promise<void>;
  storageClass?: string;
  /** Whether a bundle is a compressed tar. Default false. */
  gzipBundles?: boolean;
  /** Bytes of a bundle: it is sent when it has so many. Default {@link MAX_BUNDLE_BYTES}. */
  maxBytes?: number;
  /** Members at most. Default {@link MAX_MEMBERS}. */
  maxMembers?: number;
}

/** What becomes of a content that is to be stored. */
export interface Bundled {
  /** There is room for more; undefined: at once. */
  accepted: Promise<void> | undefined;
  /** Its row in the table, or where that will be. */
  row: number | ComingRow;
}

/** One of the rows that are known once the store has what holds them all. The promise may be left alone. */
export interface ComingRow {
  rows: Promise<ArrayLike<number>>;
  index: number;
}

/** A bundle that is being filled: one promise for all that wait for it. */
class Filling {
  readonly members: (MemberPlace & { sha: Uint8Array })[] = [];
  readonly tar: BundleTar;
  readonly rows: Promise<ArrayLike<number>>;
  resolve: (rows: ArrayLike<number>) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;

  constructor(tar: BundleTar) {
    this.tar = tar;
    this.rows = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.rows.catch(() => undefined); // whoever waits for a row hears of it
  }
}

/** Members of a bundle: entries that wait for it are memory too. */
export const MAX_MEMBERS = 8192;
const READY = Promise.resolve();

/** Collects small contents and stores them together. One bundle fills while the one before is on its way. */
export class Bundler {
  readonly #options: BundlerOptions;
  readonly #maxBytes: number;
  readonly #maxMembers: number;
  readonly #slabs = new Slabs();
  #filling: Filling;
  #sending: Promise<void> = READY;
  stored = { objects: 0, bytes: 0 };

  constructor(options: BundlerOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BUNDLE_BYTES;
    this.#maxMembers = options.maxMembers ?? MAX_MEMBERS;
    this.#filling = this.#newBundle();
  }

  /** Copies the member's bytes; its hash is kept. */
  add(member: TarMember): Bundled & { row: ComingRow } {
    const { members, tar, rows } = this.#filling;
    const row = { rows, index: members.length };
    const { off, len, enc } = tar.add(member);
    members.push({ sha: member.sha, off, len, enc });
    if (tar.size < this.#maxBytes && members.length < this.#maxMembers) return { accepted: undefined, row };
    const before = this.#sending;
    this.flush();
    return { accepted: before, row };
  }

  /** Sends what has been collected, without waiting for more. */
  flush(): void {
    const filled = this.#filling;
    if (filled.members.length === 0) return;
    this.#filling = this.#newBundle();
    this.#sending = this.#sending.then(() => this.#send(filled));
  }

  #newBundle(): Filling {
    const slabs = this.#slabs;
    return new Filling(
      this.#options.gzipBundles === true ? new GzipBundleTar(slabs) : new PlainBundleTar(slabs),
    );
  }

  /** Resolves when nothing is on its way any more. What is still being collected is dropped. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  async #send(filled: Filling): Promise<void> {
    try {
      const rows = await this.#store(filled);
      this.#options.ended?.(filled.members);
      filled.resolve(rows);
    } catch (error) {
      this.#options.ended?.(filled.members);
      filled.reject(error);
    }
  }

  async #store({ tar, members }: Filling): Promise<number[]> {
    const { store, table, journal, locks, onEvent, storageClass } = this.#options;
    const { sha, body } = tar.finish();
    const key = bundleKey(sha.toString('hex'));
    const until = locks.untilFor(sha);
    const { version } = await store.put({
      key,
      body,
      retention: locks.retention(until),
      ...(tar.enc === undefined ? {} : { metadata: { 'storage-encoding': tar.enc } }),
      ...(storageClass === undefined ? {} : { storageClass }),
    });
    // Not where it failed: what was begun may still be reading.
    tar.release();
    const size = members.reduce((sum, { len }) => sum + len, 0);
    journal.add({
      bundle: sha.toString('hex'),
      version,
      until,
      stored: body.size,
      members: members.map(({ sha: of, enc, off, len }) => ({
        sha: Buffer.from(of).toString('hex'),
        off,
        len,
        ...(enc === undefined ? {} : { enc }),
      })),
    });
    const bundle = table.bundles.add({ sha, version, until, size, stored: body.size });
    this.stored.objects++;
    this.stored.bytes += body.size;
    onEvent({ type: 'stored', key, version, size: body.size, until });
    const rows = members.map(({ sha: of, enc, off, len }) => {
      const row = table.setMember(of, 0, { bundle, off, len, enc });
      table.markUsed(row);
      return row;
    });
    await this.#options.afterPut();
    return rows;
  }
}
