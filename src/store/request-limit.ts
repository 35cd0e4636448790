import type { Readable } from 'node:stream';

/** What `setTimeout` takes. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * What ends one request early: the caller's signal, or that it took too long. By a timer that ends with the request,
 * where those of `AbortSignal.timeout` stay for as long as the time that is given.
 */
export class RequestLimit {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = (): void => this.#controller.abort();
  #expired = false;

  constructor(ms: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#timer = setTimeout(
      () => {
        this.#expired = true;
        this.#abort();
      },
      Math.min(ms, LONGEST_TIMER),
    );
    caller?.addEventListener('abort', this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It took too long, and nobody had stopped it before. */
  get expired(): boolean {
    return this.#expired;
  }

  /** The request is over. Of one whose answer is a stream only its beginning was limited. */
  end(answer?: unknown): void {
    clearTimeout(this.#timer);
    const { signal } = this.#controller;
    if (!signal.aborted && isStream(answer) && !answer.closed) answer.once('close', () => this.#leave());
    else this.#leave();
  }

  #leave(): void {
    this.#caller?.removeEventListener('abort', this.#abort);
  }
}

function isStream(answer: unknown): answer is Readable {
  return typeof answer === 'object' && answer !== null && 'once' in answer && 'closed' in answer;
}
