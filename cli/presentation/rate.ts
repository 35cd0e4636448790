interface Sample {
  at: number;
  amount: number;
}

/** Units per second over the last seconds, so that what is shown neither jumps nor remembers the distant past. */
export class Rate {
  readonly #windowMs: number;
  #samples: Sample[] = [];

  /** @param windowMs Length of what counts, in milliseconds. */
  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  /** `amount` is the total so far; a smaller one than before begins anew. `at` is in milliseconds. */
  add(at: number, amount: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && amount < last.amount) this.#samples = [];
    this.#samples.push({ at, amount });
    while ((this.#samples[1]?.at ?? at) < at - this.#windowMs) this.#samples.shift();
  }

  /** Undefined while there is nothing to measure. */
  get perSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < 500) return undefined;
    return ((last.amount - first.amount) / (last.at - first.at)) * 1000;
  }
}
