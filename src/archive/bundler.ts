import type { Journal } from '../catalog/journal.js';
import type { ObjectTable } from '../catalog/object-table.js';
import type { EventListener } from '../events.js';
import { bundleKey } from '../manifest/keys.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import { BundleTar, MAX_BUNDLE_BYTES, type TarMember } from './bundle-tar.js';

export interface BundlerOptions {
  store: ObjectStore;
  table: ObjectTable;
  journal: Journal;
  locks: LockDates;
  onEvent: EventListener;
  /** Awaited after each PUT. */
  afterPut: () => Promise<void>;
  storageClass?: string;
  /** Bytes of a bundle: it is sent when it has so many. Default {@link MAX_BUNDLE_BYTES}. */
  maxBytes?: number;
  /** Members at most. Default {@link MAX_MEMBERS}. */
  maxMembers?: number;
}

/** What becomes of a content given to a bundler. */
export interface Bundled {
  /** There is room for more. */
  accepted: Promise<void>;
  /** Its row in the table, once the store has the bundle. */
  row: Promise<number>;
}

/** A member that is in the tar, and whoever waits for it. */
interface Waiting {
  sha: Buffer;
  enc: TarMember['enc'];
  off: number;
  len: number;
  resolve: (row: number) => void;
  reject: (error: unknown) => void;
}

/** Members of a bundle: entries that wait for it are memory too. */
export const MAX_MEMBERS = 4096;
const READY = Promise.resolve();

/** Collects small contents and stores them together. One bundle fills while the one before is on its way. */
export class Bundler {
  readonly #options: BundlerOptions;
  readonly #maxBytes: number;
  readonly #maxMembers: number;
  #filling: Waiting[] = [];
  #tar: BundleTar | undefined;
  #sending: Promise<void> = READY;
  stored = { objects: 0, bytes: 0 };

  constructor(options: BundlerOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BUNDLE_BYTES;
    this.#maxMembers = options.maxMembers ?? MAX_MEMBERS;
  }

  add(member: TarMember): Bundled {
    this.#tar ??= new BundleTar();
    const tar = this.#tar;
    const off = tar.add(member);
    const row = new Promise<number>((resolve, reject) => {
      // A copy: the hash is a view of what came over from the worker with many others.
      const { enc, bytes } = member;
      this.#filling.push({ sha: Buffer.from(member.sha), enc, off, len: bytes.length, resolve, reject });
    });
    row.catch(() => undefined); // whoever waits for the row hears of it
    if (tar.size < this.#maxBytes && this.#filling.length < this.#maxMembers) return { accepted: READY, row };
    const before = this.#sending;
    this.flush();
    return { accepted: before, row };
  }

  /** Sends what has been collected, without waiting for more. */
  flush(): void {
    const members = this.#filling;
    const tar = this.#tar;
    if (tar === undefined) return;
    this.#filling = [];
    this.#tar = undefined;
    this.#sending = this.#sending.then(() => this.#send(tar, members));
  }

  /** Resolves when nothing is on its way any more. What is still being collected is dropped. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  async #send(tar: BundleTar, members: readonly Waiting[]): Promise<void> {
    try {
      const rows = await this.#store(tar, members);
      for (const [index, { resolve }] of members.entries()) resolve(rows[index] ?? -1);
    } catch (error) {
      for (const { reject } of members) reject(error);
    }
  }

  async #store(tar: BundleTar, members: readonly Waiting[]): Promise<number[]> {
    const { store, table, journal, locks, onEvent, storageClass } = this.#options;
    const { sha, body } = await tar.finish();
    const key = bundleKey(sha.toString('hex'));
    const until = locks.untilFor(sha);
    const { version } = await store.put({
      key,
      body,
      retention: locks.retention(until),
      ...(storageClass === undefined ? {} : { storageClass }),
    });
    const size = members.reduce((sum, { len }) => sum + len, 0);
    journal.add({
      bundle: sha.toString('hex'),
      version,
      until,
      members: members.map(({ sha: of, enc, off, len }) => ({
        sha: of.toString('hex'),
        off,
        len,
        ...(enc === undefined ? {} : { enc }),
      })),
    });
    const bundle = table.bundles.add({ sha, version, until, size });
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
