import type { Journal } from '../catalog/journal.js';
import type { ObjectTable } from '../catalog/object-table.js';
import type { EventListener } from '../events.js';
import { bundleKey } from '../manifest/keys.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import {
  type BundleTar,
  GzipBundleTar,
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
  /** Awaited after each PUT. */
  afterPut: () => Promise<void>;
  storageClass?: string;
  /** Whether a bundle is a compressed tar. Default false. */
  gzipBundles?: boolean;
  /** Bytes of a bundle: it is sent when it has so many. Default a little under 32 MiB. */
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
interface Waiting extends MemberPlace {
  sha: Buffer;
  resolve: (row: number) => void;
  reject: (error: unknown) => void;
}

const MAX_BYTES = (32 << 20) - (64 << 10);
/** Members of a bundle: entries that wait for it are memory too. */
export const MAX_MEMBERS = 4096;
const READY = Promise.resolve();

/** Collects small contents and stores them together. One bundle fills while the one before is on its way. */
export class Bundler {
  readonly #options: BundlerOptions;
  readonly #maxBytes: number;
  readonly #maxMembers: number;
  #filling: Waiting[] = [];
  #tar: BundleTar;
  #sending: Promise<void> = READY;
  stored = { objects: 0, bytes: 0 };

  constructor(options: BundlerOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxMembers = options.maxMembers ?? MAX_MEMBERS;
    this.#tar = this.#newTar();
  }

  add(member: TarMember): Bundled {
    const place = this.#tar.add(member);
    const row = new Promise<number>((resolve, reject) => {
      // A copy: the hash is a view of what came over from the worker with many others.
      this.#filling.push({ ...place, sha: Buffer.from(member.sha), resolve, reject });
    });
    row.catch(() => undefined); // whoever waits for the row hears of it
    if (this.#tar.size < this.#maxBytes && this.#filling.length < this.#maxMembers)
      return { accepted: READY, row };
    const before = this.#sending;
    this.flush();
    return { accepted: before, row };
  }

  /** Sends what has been collected, without waiting for more. */
  flush(): void {
    const members = this.#filling;
    const tar = this.#tar;
    if (members.length === 0) return;
    this.#filling = [];
    this.#tar = this.#newTar();
    this.#sending = this.#sending.then(() => this.#send(tar, members));
  }

  #newTar(): BundleTar {
    return this.#options.gzipBundles === true ? new GzipBundleTar() : new PlainBundleTar();
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
