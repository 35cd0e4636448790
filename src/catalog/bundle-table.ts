/** A stored bundle: a tar that holds many small contents. */
export interface BundleRecord {
  /** SHA-256 of the tar: 32 bytes. */
  sha: Buffer;
  version: string;
  /** End of its lock in seconds since the epoch. */
  until: number;
  /** Bytes of all its members, as stored. */
  size: number;
  /** Bytes of the tar, as stored. Undefined: not known. */
  stored?: number | undefined;
}

class BundleState implements BundleRecord {
  readonly sha: Buffer;
  readonly version: string;
  until: number;
  readonly size: number;
  stored: number | undefined;
  /** Bytes of the members that the last whole run named. */
  readonly lastLive: number;
  /** Bytes of the members that this run names. */
  live = 0;
  gone = false;

  constructor({ sha, version, until, size, stored }: BundleRecord, lastLive: number) {
    this.sha = sha;
    this.version = version;
    this.until = until;
    this.size = size;
    this.stored = stored;
    this.lastLive = lastLive;
  }
}

/** The bundles this machine knows to be stored. Few, even where the files in them are a million. */
export class BundleTable {
  readonly #bundles: BundleState[] = [];
  /** Whether a bundle came, went or was renewed since the table was read. */
  changed = false;

  get size(): number {
    return this.#bundles.length;
  }

  /** Returns the bundle's number. `lastLive`: bytes of the members that the last run named; default: all. */
  add(record: BundleRecord, lastLive = record.size): number {
    this.#bundles.push(new BundleState(record, lastLive));
    this.changed = true;
    return this.#bundles.length - 1;
  }

  get(bundle: number): Readonly<BundleState> {
    const state = this.#bundles[bundle];
    if (state === undefined) throw new RangeError(`there is no bundle ${bundle}`);
    return state;
  }

  setUntil(bundle: number, until: number): void {
    this.#state(bundle).until = until;
    this.changed = true;
  }

  /** A listing has shown how long its tar is. */
  learnSize(bundle: number, stored: number): void {
    this.#state(bundle).stored = stored;
    this.changed = true;
  }

  /** The store no longer has it, or it is not worth keeping. */
  markGone(bundle: number): void {
    this.#state(bundle).gone = true;
    this.changed = true;
  }

  /** This run names a member of so many stored bytes. Once per member. */
  addLive(bundle: number, bytes: number): void {
    this.#state(bundle).live += bytes;
  }

  #state(bundle: number): BundleState {
    const state = this.#bundles[bundle];
    if (state === undefined) throw new RangeError(`there is no bundle ${bundle}`);
    return state;
  }
}
