/** Runs tasks side by side, no more than so many at a time. For one caller, who awaits each call. */
export class TaskPool {
  readonly #limit: number;
  #running = 0;
  /** Called when a task has ended, and then forgotten. */
  #ended: (() => void) | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Begins the task as soon as there is room, and resolves when it has begun; undefined: it has, since there was. The
   * task must not reject.
   */
  start(task: () => Promise<void>): Promise<void> | undefined {
    if (this.#running >= this.#limit) return this.#startLater(task);
    this.#begin(task);
    return undefined;
  }

  async #startLater(task: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#limit) await this.#oneEnded();
    this.#begin(task);
  }

  #begin(task: () => Promise<void>): void {
    this.#running += 1;
    void task().then(this.#end, this.#end);
  }

  readonly #end = (): void => {
    this.#running -= 1;
    this.#ended?.();
    this.#ended = undefined;
  };

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.#running > 0) await this.#oneEnded();
  }

  // Not Promise.race: on a task that runs for hours it would leave a reaction for each short one beside it.
  #oneEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#ended = resolve;
    });
  }
}
