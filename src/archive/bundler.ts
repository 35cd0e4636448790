import { createHash } from 'node:crypto';
import type { Journal } from '../catalog/journal.js';
import type { ObjectTable } from '../catalog/object-table.js';
import type { EventListener } from '../events.js';
import { bundleKey } from '../manifest/keys.js';
import type { LockDates } from '../store/lock-dates.js';
import type { ObjectStore } from '../store/port.js';
import { packBundle, type TarMember } from './bundle-tar.js';

export interface BundlerOptions {
  store: ObjectStore;
  table: ObjectTable;
  journal: Journal;
  locks: LockDates;
  onEvent: EventListener;
  storageClass?: string;
  /** Bytes of members in a bundle at most. Default 32 MiB. */
  maxBytes?: number;
  /** Members at most: entries that wait for their bundle are memory too. Default 8192. */
  maxMembers?: number;
}

/** What becomes of a content given to a bundler. */
export interface Bundled {
  /** There is room for more. */
  accepted: Promise<void>;
  /** Its row in the table, once the store has the bundle. */
  row: Promise<number>;
}

interface Waiting extends TarMember {
  resolve: (row: number) => void;
  reject: (error: unknown) => void;
}

const MAX_BYTES = 32 << 20;
const MAX_MEMBERS = 8192;
const READY = Promise.resolve();

/** Collects small contents and stores them together. One bundle fills while the one before is on its way. */
export class Bundler {
  readonly #options: BundlerOptions;
  readonly #maxBytes: number;
  readonly #maxMembers: number;
  #filling: Waiting[] = [];
  #bytes = 0;
  #sending: Promise<void> = READY;
  stored = { objects: 0, bytes: 0 };

  constructor(options: BundlerOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxMembers = options.maxMembers ?? MAX_MEMBERS;
  }

  add(member: TarMember): Bundled {
    const row = new Promise<number>((resolve, reject) => {
      // A copy: the bytes are a view of what came over from the worker with many others.
      this.#filling.push({ ...member, bytes: Uint8Array.from(member.bytes), resolve, reject });
    });
    row.catch(() => undefined); // whoever waits for the row hears of it
    this.#bytes += member.bytes.length;
    if (this.#bytes < this.#maxBytes && this.#filling.length < this.#maxMembers)
      return { accepted: READY, row };
    const before = this.#sending;
    this.flush();
    return { accepted: before, row };
  }

  /** Sends what has been collected, without waiting for more. */
  flush(): void {
    const members = this.#filling;
    if (members.length === 0) return;
    this.#filling = [];
    this.#bytes = 0;
    this.#sending = this.#sending.then(() => this.#send(members));
  }

  /** Resolves when nothing is on its way any more. What is still being collected is dropped. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  async #send(members: readonly Waiting[]): Promise<void> {
    try {
      const rows = await this.#store(members);
      for (const [index, { resolve }] of members.entries()) resolve(rows[index] ?? -1);
    } catch (error) {
      for (const { reject } of members) reject(error);
    }
  }

  async #store(members: readonly Waiting[]): Promise<number[]> {
    const { store, table, journal, locks, onEvent, storageClass } = this.#options;
    const { bytes, offs } = await packBundle(members);
    const sha = createHash('sha256').update(bytes).digest();
    const md5 = createHash('md5').update(bytes).digest('hex');
    const key = bundleKey(sha.toString('hex'));
    const until = locks.untilFor(sha);
    const { version } = await store.put({
      key,
      body: { bytes, md5, size: bytes.length },
      retention: locks.retention(until),
      ...(storageClass === undefined ? {} : { storageClass }),
    });
    const placed = members.map(({ sha: of, enc, bytes: { length: len } }, index) => ({
      sha: Buffer.from(of).toString('hex'),
      off: offs[index] ?? 0,
      len,
      ...(enc === undefined ? {} : { enc }),
    }));
    journal.add({ bundle: sha.toString('hex'), version, until, members: placed });
    const size = placed.reduce((sum, { len }) => sum + len, 0);
    const bundle = table.bundles.add({ sha, version, until, size });
    this.stored.objects++;
    this.stored.bytes += bytes.length;
    onEvent({ type: 'stored', key, version, size: bytes.length, until });
    return members.map(({ sha: of, enc }, index) => {
      const row = table.setMember(of, 0, {
        bundle,
        off: offs[index] ?? 0,
        len: placed[index]?.len ?? 0,
        enc,
      });
      table.markUsed(row);
      return row;
    });
  }
}
