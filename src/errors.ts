import { namedCode, namedMessage } from './errno-names.js';

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
  /** The store cannot do what is needed: no Object Lock, no versioning, no version ids in what arrives of its answers. */
  | 'STORE_UNSUITABLE'
  /** The store failed or could not be reached, after retries. */
  | 'STORE_FAILED'
  /** A precondition of the machine is not met: no room on the disk, a system call missing. */
  | 'SYSTEM'
  /** Something read from the store is not what it must be: a manifest without its footer, wrong bytes. */
  | 'DAMAGED'
  /** A lock is shorter than promised. */
  | 'RETENTION_SHORT'
  /** A guard refused to delete or replace something; nothing was changed. */
  | 'REFUSED'
  /** A limit that the caller set was reached (`maxRequests`). */
  | 'LIMIT'
  /** Stopped by the caller's AbortSignal. */
  | 'ABORTED';

/** An exit code of the command line and what it says. */
export interface ExitCodeMeaning {
  code: number;
  /** One line, as help and README print it. */
  meaning: string;
}

/**
 * All exit codes of the command line. README, the help and the systemd units repeat this table; a test compares them.
 */
export const EXIT_CODES: readonly ExitCodeMeaning[] = [
  { code: 0, meaning: 'done; of `archive`: a complete run is stored' },
  {
    code: 1,
    meaning: 'failed: no manifest was stored, nothing was restored, or something is missing or damaged',
  },
  { code: 2, meaning: 'the command line or the conf is wrong' },
  { code: 3, meaning: 'done but incomplete: a partial run is stored, or some paths were not restored' },
  { code: 4, meaning: 'a broken run is stored' },
  { code: 10, meaning: 'there is no such store, run or path' },
  { code: 11, meaning: 'another run holds the lock' },
  { code: 12, meaning: 'access denied' },
  { code: 13, meaning: 'a lock is shorter than promised' },
  { code: 14, meaning: 'refused by a guard; nothing was changed' },
  { code: 130, meaning: 'stopped by SIGINT' },
  { code: 143, meaning: 'stopped by SIGTERM' },
  { code: 137, meaning: 'killed by SIGKILL, which a process with a hanging thread sends to itself' },
];

/** The gravest first. What is not here (0) is less grave than all of them. */
const PRECEDENCE: readonly number[] = [137, 143, 130, 14, 2, 12, 11, 10, 4, 13, 1, 3];

const CODE_OF_ERROR: Record<ErrorCode, number> = {
  USAGE: 2,
  CONFIG: 2,
  NOT_FOUND: 10,
  RUN_LOCKED: 11,
  ACCESS_DENIED: 12,
  RETENTION_SHORT: 13,
  REFUSED: 14,
  STORE_UNSUITABLE: 1,
  STORE_FAILED: 1,
  SYSTEM: 1,
  DAMAGED: 1,
  LIMIT: 1,
  ABORTED: 1,
};

const CODE_OF_OUTCOME = { complete: 0, partial: 3, broken: 4 };

/** What `archive` exits with after a run of this outcome was stored, or would be by a dry run. */
export function exitCodeOfOutcome(outcome: keyof typeof CODE_OF_OUTCOME): number {
  return CODE_OF_OUTCOME[outcome];
}

/**
 * The exit code of several backups, jobs or destinations together: the gravest, in the order 130/143, 14, 2, 12, 11,
 * 10, 4, 13, 1, 3, 0. An unknown code counts as 1. Within one `verify` or `renew` the worse finding counts instead:
 * damaged or missing (1) before too short a lock (13).
 */
export function combinedExitCode(codes: Iterable<number>): number {
  let gravest = 0;
  for (const code of codes) {
    const known = code === 0 || PRECEDENCE.includes(code) ? code : 1;
    if (gravity(known) > gravity(gravest)) gravest = known;
  }
  return gravest;
}

function gravity(code: number): number {
  return code === 0 ? 0 : PRECEDENCE.length - PRECEDENCE.indexOf(code);
}

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
    return CODE_OF_ERROR[this.code];
  }
}

/** The message of anything thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return namedMessage(text.replaceAll(/\s*\n\s*/g, ' '));
}

/** The errno name (`ENOENT`) of Node's system errors, also where Node has no name for it; undefined for other values. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return namedCode(error.code);
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
