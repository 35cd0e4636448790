/**
 * What kind of failure an error is. Programs branch on the code; people read the message and the hint.
 * The exit code of the command line follows from it (see {@link SysbackupError.exitCode}).
 */
export type ErrorCode =
  /** The command line or an API call's options make no sense. */
  | 'USAGE'
  /** The conf, or something it names (a folder of executables), is wrong. */
  | 'CONFIG'
  /** The store, run, path or object asked for does not exist. */
  | 'NOT_FOUND'
  /** Another run holds this machine's lock. */
  | 'RUN_LOCKED'
  /** The store refused for lack of rights, or the credentials are wrong or missing. */
  | 'ACCESS_DENIED'
  /** The store cannot do what is needed: no Object Lock, no versioning. */
  | 'STORE_UNSUITABLE'
  /** The store failed or could not be reached, after retries. */
  | 'STORE_FAILED'
  /** A precondition of the machine is not met: no room on the disk, a system call missing. */
  | 'SYSTEM'
  /** Something read from the store is not what it must be: a manifest without its footer, wrong bytes. */
  | 'DAMAGED'
  /** A lock is shorter than promised. */
  | 'RETENTION_SHORT'
  /** A limit that the caller set was reached (`maxRequests`). */
  | 'LIMIT'
  /** Stopped by the caller's AbortSignal. */
  | 'ABORTED';

const EXIT_CODES: Record<ErrorCode, number> = {
  USAGE: 2,
  CONFIG: 2,
  NOT_FOUND: 10,
  RUN_LOCKED: 11,
  ACCESS_DENIED: 12,
  RETENTION_SHORT: 13,
  STORE_UNSUITABLE: 1,
  STORE_FAILED: 1,
  SYSTEM: 1,
  DAMAGED: 1,
  LIMIT: 1,
  ABORTED: 1,
};

export interface SysbackupErrorOptions {
  /** One sentence that says what to do about it. */
  hint?: string;
  cause?: unknown;
}

/**
 * Every error this library throws on purpose. `message` is one sentence that says what went wrong and where
 * (file and line, key, path); `hint` says what to do.
 */
export class SysbackupError extends Error {
  override readonly name = 'SysbackupError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: SysbackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  /** What a command that ends with this error exits with. */
  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** The message of anything thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** The errno name (`ENOENT`) that Node's system errors carry; undefined for other values. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** Somebody stopped it. `cause`: a signal's reason, or what failed because of it. */
export function abortedError(cause: unknown): SysbackupError {
  return new SysbackupError('ABORTED', 'stopped before the end', { cause });
}

/** Throws the ABORTED error where the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal.reason);
}
