import { SysbackupError, type ErrorCode, type SysbackupErrorOptions } from '../errors.js';

export interface StoreErrorOptions extends SysbackupErrorOptions {
  /** Whether the same request may well succeed if sent again (see retry.ts). Default false. */
  retryable?: boolean;
  /** Whether the store said that it has too much to do: fewer requests at once may help. Default false. */
  overloaded?: boolean;
  /** Milliseconds that the store asked to be left alone for. */
  retryAfterMs?: number;
  /** How often a request that ended so is sent again at the most. Default: as often as any. */
  mostRepeats?: number;
  /** Whether the store has never answered since it was opened. Default false. */
  unanswered?: boolean;
}

/** An error of a store, which knows whether asking again makes sense. */
export class StoreError extends SysbackupError {
  readonly retryable: boolean;
  readonly overloaded: boolean;
  readonly retryAfterMs: number | undefined;
  readonly mostRepeats: number | undefined;
  readonly unanswered: boolean;

  constructor(code: ErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(code, message, options);
    this.retryable = options.retryable ?? false;
    this.overloaded = options.overloaded ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.mostRepeats = options.mostRepeats;
    this.unanswered = options.unanswered ?? false;
  }
}

/** That a directory is not what it was when it was opened. */
export function storeGone(root: string, cause?: unknown): StoreError {
  return new StoreError('NOT_FOUND', `${root} is no longer the store that it was: its marker is gone`, {
    hint: 'Was its disk unmounted? What had been stored is used by the next run.',
    cause,
  });
}

/** That a version is not there: every store says it with these words. */
export function noSuchVersion(store: string, key: string, version: string, cause?: unknown): StoreError {
  return new StoreError('NOT_FOUND', `${store} has no version ${version} of ${key}`, { cause });
}
