/**
 * What will be ready later. Like a promise, but that it costs next to nothing until somebody waits: thousands of entries
 * are on their way at the same time, and wait for one bundle.
 */
export class Coming<T> {
  #state: 'coming' | 'ready' | 'failed' = 'coming';
  #value: T | undefined;
  #error: unknown;
  #waiting: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined;

  readonly settle = (value: T): void => {
    if (this.#state !== 'coming') return;
    this.#state = 'ready';
    this.#value = value;
    this.#waiting?.resolve(value);
  };

  readonly fail = (error: unknown): void => {
    if (this.#state !== 'coming') return;
    this.#state = 'failed';
    this.#error = error;
    this.#waiting?.reject(error);
  };

  /** Itself where it is ready, else a promise of it. For one caller. */
  whenReady(): T | Promise<T> {
    if (this.#state === 'ready') return this.#value as T;
    return new Promise((resolve, reject) => {
      if (this.#state === 'failed') reject(this.#error);
      else this.#waiting = { resolve, reject };
    });
  }
}
