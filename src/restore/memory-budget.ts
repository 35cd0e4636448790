/**
 * Bytes that may be held at a time. Whoever holds some while asking for more must have asked for what it needs
 * first: requests are granted in the order they came.
 */
export class MemoryBudget {
  #free: number;
  readonly #capacity: number;
  readonly #waiting: { bytes: number; granted: () => void }[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  /** Resolves, to what gives the bytes back, when they are free. More than there are in all counts as all. */
  async take(wanted: number): Promise<() => void> {
    const bytes = Math.min(wanted, this.#capacity);
    if (this.#waiting.length > 0 || bytes > this.#free)
      await new Promise<void>((granted) => this.#waiting.push({ bytes, granted }));
    else this.#free -= bytes;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += bytes;
      this.#grant();
    };
  }

  #grant(): void {
    for (let first = this.#waiting[0]; first && first.bytes <= this.#free; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= first.bytes;
      first.granted();
    }
  }
}
