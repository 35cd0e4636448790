import { SysbackupError } from '../errors.js';

/** Failures of single objects in a row after which it is the store that fails. */
const MOST = 20;

/**
 * Tells an object that the store cannot give from a store that gives nothing any more. What is no failure of the
 * store (stopped, a limit reached) is thrown on at once.
 */
export class FailureStreak {
  #failures = 0;
  readonly #codes: ReadonlySet<string>;

  /** `codes`: those of errors that may be one object's own. */
  constructor(codes: readonly string[]) {
    this.#codes = new Set(codes);
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Gives the error back where it is one object's; throws it otherwise. */
  failed(error: unknown): SysbackupError {
    if (!(error instanceof SysbackupError) || !this.#codes.has(error.code)) throw error;
    this.#failures++;
    if (this.#failures >= MOST) throw error;
    return error;
  }
}
