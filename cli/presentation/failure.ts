import { SysbackupError, errnoOf, messageOf } from '../../src/index.js';

/** An error as the command line tells of it. */
export interface Failure {
  code: string;
  /** One sentence. */
  message: string;
  hint: string | undefined;
  exitCode: number;
}

/** What the operating system may say at any time, and no mistake of the program. */
const SYSTEM_ERRORS: Record<string, string> = {
  ENOSPC: 'Make room on that disk; the temporary files are in the state directory.',
  EDQUOT: 'The quota of the user that runs this is used up.',
  EROFS: 'The file system is mounted read-only.',
  EACCES: 'Run as a user who may do that, root as a rule.',
  EPERM: 'Run as a user who may do that, root as a rule.',
  EMFILE: 'Raise the limit of open files (ulimit -n).',
  ENFILE: 'The system has too many files open.',
  ENOMEM: 'The system is out of memory.',
  EIO: 'The disk reports an error: look at the system log.',
};

const BUG_HINT =
  'This is a bug in s3-sysbackup: please report it, with what the same command prints with --log-level debug.';

/** What is said of anything thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof SysbackupError) {
    const { code, hint, exitCode } = error;
    return { code, message: messageOf(error), hint, exitCode };
  }
  const errno = errnoOf(error);
  const hint = errno === undefined ? undefined : SYSTEM_ERRORS[errno];
  if (hint !== undefined) return { code: 'SYSTEM', message: messageOf(error), hint, exitCode: 1 };
  return {
    code: 'UNEXPECTED',
    message: `unexpected error: ${messageOf(error)}`,
    hint: BUG_HINT,
    exitCode: 1,
  };
}

/** The last line that `--json` prints where a command fails. */
export function jsonOfFailure({ code, message, hint, exitCode }: Failure): object {
  return { type: 'error', code, message, ...(hint === undefined ? {} : { hint }), exitCode };
}

/** The stack of an error and of all that caused it, line by line. */
export function* stackLines(error: unknown): Generator<string> {
  const seen = new Set<unknown>();
  let current = error;
  let prefix = '';
  while (current !== undefined && !seen.has(current)) {
    seen.add(current);
    const text = current instanceof Error ? (current.stack ?? current.message) : String(current);
    for (const line of text.split('\n')) {
      yield prefix + line;
      prefix = '';
    }
    current = current instanceof Error ? current.cause : undefined;
    prefix = 'caused by: ';
  }
}
