/** A store's time: what it said once, plus what a monotonic clock counted since. */
export class StoreClock {
  readonly #monotonic: () => number;
  #anchor: { time: number; at: number } | undefined;

  /** `monotonic` counts milliseconds from anywhere and never jumps. Default: `performance.now`. */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  get known(): boolean {
    return this.#anchor !== undefined;
  }

  /** The store's time in milliseconds since the epoch. Only the first counts. */
  heard(time: number): void {
    this.#anchor ??= { time, at: this.#monotonic() };
  }

  now(): number | undefined {
    if (this.#anchor === undefined) return undefined;
    return Math.round(this.#anchor.time + this.#monotonic() - this.#anchor.at);
  }
}

/** A store that has to send a request for the time as long as nothing that it answered was understood. */
export interface AsksForTime {
  readonly knowsTime: boolean;
}

export function mustAskForTime(store: object): boolean {
  return 'knowsTime' in store && store.knowsTime === false;
}
