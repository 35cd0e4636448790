/** Lets work through while its weights add up to no more than a budget; the rest waits in order. */
export class Budget {
  #total: number;
  #taken = 0;
  #waiting: { weight: number; go: () => void }[] = [];
  #head = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Runs `work` when there is room for its weight. What is heavier than the whole budget runs alone. */
  async run<T>(weight: number, work: () => Promise<T>): Promise<T> {
    if (!this.tryTake(weight)) await this.take(weight);
    try {
      return await work();
    } finally {
      this.giveBack(weight);
    }
  }

  /** Takes the weight where there is room now and nobody waits. */
  tryTake(weight: number): boolean {
    if (!this.#fits(weight) || this.isWaitedFor) return false;
    this.#taken += weight;
    return true;
  }

  /** Takes the weight when there is room for it. */
  take(weight: number): Promise<void> {
    if (this.tryTake(weight)) return Promise.resolve();
    return new Promise<void>((go) => this.whenTaken(weight, go));
  }

  /** Takes the weight when there is room for it, behind all that waits, and calls back then. */
  whenTaken(weight: number, go: () => void): void {
    this.#waiting.push({ weight, go });
  }

  /** Makes room again for what was taken. */
  giveBack(weight: number): void {
    this.#taken -= weight;
    this.#admit();
  }

  /** From now on it is so much. */
  set total(total: number) {
    this.#total = total;
    this.#admit();
  }

  /** Whether anything waits for room. */
  get isWaitedFor(): boolean {
    return this.#waiting.length > this.#head;
  }

  #fits(weight: number): boolean {
    return this.#taken === 0 || this.#taken + weight <= this.#total;
  }

  #admit(): void {
    for (let next = this.#waiting[this.#head]; next !== undefined && this.#fits(next.weight); ) {
      this.#taken += next.weight;
      this.#head++;
      next.go();
      next = this.#waiting[this.#head];
    }
    // What was let through is cut off now and then: each time would be a copy of all that waits.
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}
