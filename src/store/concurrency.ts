import type { ObjectStore } from './port.js';

/** Lets work through while its weights add up to no more than a budget; the rest waits in order. */
export class Budget {
  readonly #total: number;
  #taken = 0;
  #waiting: { weight: number; go: () => void }[] = [];
  #head = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Runs `work` when there is room for its weight. What is heavier than the whole budget runs alone. */
  async run<T>(weight: number, work: () => Promise<T>): Promise<T> {
    if (!this.#fits(weight) || this.#waiting.length > this.#head) {
      await new Promise<void>((go) => this.#waiting.push({ weight, go }));
    } else {
      this.#taken += weight;
    }
    try {
      return await work();
    } finally {
      this.#taken -= weight;
      this.#admit();
    }
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

/** The store with at most so many requests under way at once. */
export function withConcurrency(store: ObjectStore, requests: number): ObjectStore {
  const budget = new Budget(requests);
  return {
    description: store.description,
    identity: store.identity,
    put: (request) => budget.run(1, () => store.put(request)),
    get: (key, version, range) => budget.run(1, () => store.get(key, version, range)),
    head: (key, version) => budget.run(1, () => store.head(key, version)),
    list: (request) => budget.run(1, () => store.list(request)),
    getRetention: (key, version) => budget.run(1, () => store.getRetention(key, version)),
    extendRetention: (key, version, retention) =>
      budget.run(1, () => store.extendRetention(key, version, retention)),
    capabilities: () => budget.run(1, () => store.capabilities()),
    now: () => store.now(),
    close: () => store.close(),
  };
}
