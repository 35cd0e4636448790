import { pipeline, Transform } from 'node:stream';
import type { EventListener, Phase } from '../events.js';
import type { ObjectStore } from '../store/port.js';

/** Versions are looked up in listings, locks are asked for one by one, and bytes are read: each at a pace of its own. */
export type VerifyPhase = Extract<Phase, 'verify' | 'verify-locks' | 'verify-data'>;

/** Of a phase's whole, in events at most. */
const STEPS = 200;
const MOST_ENTRIES = 500;
const BYTES = { least: 64 << 10, most: 4 << 20 };

/**
 * Tells how far a verification is, phase by phase: of each phase what is done, and all of it, in the same unit, so that
 * a rate says when it ends. Bytes are stored ones, as listings show them and as they come.
 */
export class VerifyProgress {
  readonly #onEvent: EventListener | undefined;
  #phase: VerifyPhase = 'verify';
  #total = { entries: 0, bytes: 0 };
  #done = { entries: 0, bytes: 0 };
  #said = { entries: 0, bytes: 0 };
  /** Bytes of each row, for who asks to have them noted. */
  #stored = new Float64Array(0);

  constructor(onEvent: EventListener | undefined) {
    this.#onEvent = onEvent;
  }

  /** Has {@link noteStored} keep the lengths of so many rows. */
  keepStored(rows: number): void {
    this.#stored = new Float64Array(rows);
  }

  noteStored(row: number, bytes: number): void {
    if (row < this.#stored.length) this.#stored[row] = bytes;
  }

  storedOf(row: number): number {
    return this.#stored[row] ?? 0;
  }

  begin(phase: VerifyPhase, total: { entries: number; bytes: number }): void {
    if (total.entries === 0) return;
    if (phase !== this.#phase) this.#onEvent?.({ type: 'phase', phase });
    this.#phase = phase;
    this.#total = total;
    this.#done = { entries: 0, bytes: 0 };
    this.tell();
  }

  advance(entries: number, bytes = 0): void {
    this.#done.entries += entries;
    this.#done.bytes += bytes;
    const { entries: all, bytes: allBytes } = this.#total;
    const step = Math.min(MOST_ENTRIES, all / STEPS);
    const byteStep = Math.min(BYTES.most, Math.max(BYTES.least, allBytes / STEPS));
    const { entries: said, bytes: saidBytes } = this.#said;
    if (this.#done.entries - said >= step || this.#done.bytes - saidBytes >= byteStep) this.tell();
  }

  tell(): void {
    this.#said = { ...this.#done };
    this.#onEvent?.({
      type: 'progress',
      phase: this.#phase,
      entries: this.#done.entries,
      entriesTotal: this.#total.entries,
      bytes: Math.min(this.#done.bytes, this.#total.bytes),
      bytesTotal: this.#total.bytes,
    });
  }

  /**
   * Reads a row by a store whose bytes are told as they come, and what did not come at its end: of a version that
   * cannot be read to its end, nothing is left to be waited for.
   */
  async reading<T>(
    store: Pick<ObjectStore, 'get' | 'head'>,
    row: number,
    read: (store: Pick<ObjectStore, 'get' | 'head'>) => Promise<T>,
  ): Promise<T> {
    let left = this.storedOf(row);
    const come = (bytes: number): void => {
      const counted = Math.min(left, bytes);
      left -= counted;
      this.advance(0, counted);
    };
    const get: ObjectStore['get'] = async (...wanted) => {
      const stored = await store.get(...wanted);
      const counted = new Transform({
        transform: (chunk: Buffer, _, done) => {
          come(chunk.length);
          done(null, chunk);
        },
      });
      // What goes wrong with one goes wrong with the other.
      return pipeline(stored, counted, () => undefined);
    };
    try {
      return await read({ get, head: (key, version) => store.head(key, version) });
    } finally {
      this.advance(1, left);
    }
  }
}
