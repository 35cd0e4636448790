/** Exit codes of a program that a signal ended: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export type Interrupt = keyof typeof EXIT_CODES;

export interface InterruptHandlers {
  /** The first signal: the work is being stopped in order. */
  onFirst: (signal: Interrupt) => void;
  /** The second one: there is no more time. */
  onSecond: (exitCode: number) => void;
}

/**
 * SIGINT and SIGTERM. SIGHUP is left alone, so that `nohup` keeps its meaning (a handler would undo it).
 */
export class Interrupts {
  readonly #controller = new AbortController();
  #received: Interrupt | undefined;

  /** Fires with the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first signal that came. */
  get received(): Interrupt | undefined {
    return this.#received;
  }

  /** What to exit with after {@link received}; undefined where none came. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : EXIT_CODES[this.#received];
  }

  listen(emitter: NodeJS.EventEmitter, handlers: InterruptHandlers): void {
    const take = (signal: Interrupt): void => {
      if (this.#received !== undefined) {
        handlers.onSecond(EXIT_CODES[signal]);
        return;
      }
      this.#received = signal;
      handlers.onFirst(signal);
      this.#controller.abort(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) emitter.on(signal, () => take(signal));
  }
}
