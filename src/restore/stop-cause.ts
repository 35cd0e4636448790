import { errnoOf, SysbackupError } from '../errors.js';

/** Failures of the store in a row after which it counts as out of reach: each was tried again before. */
const STORE_FAILURES = 10;
const FILE_SYSTEM_FULL: Partial<Record<string, string>> = {
  ENOSPC: 'no room is left',
  EDQUOT: 'the quota is used up',
  EROFS: 'it is read-only',
};

/** Tells failures of one path from those that would meet every path that follows. */
export class StopCause {
  /** Why the restore must end; undefined while it need not. */
  error: SysbackupError | undefined;
  readonly #target: string;
  #anyFetched = false;
  #storeFailures = 0;

  /** `target`: how to call it in messages. */
  constructor(target: string) {
    this.#target = target;
  }

  fetched(): void {
    this.#anyFetched = true;
    this.#storeFailures = 0;
  }

  failed(error: unknown): void {
    const full = FILE_SYSTEM_FULL[errnoOf(error) ?? ''];
    if (full !== undefined) {
      this.error ??= new SysbackupError('SYSTEM', `cannot write into ${this.#target}: ${full}`, {
        hint: 'Make room, or name another target; a restore into the same target goes on where this one stopped.',
        cause: error,
      });
    } else if (error instanceof SysbackupError && this.#endsAll(error)) this.error ??= error;
  }

  /** A call for the target failed with this errno. */
  failedWith(errno: string): void {
    if (FILE_SYSTEM_FULL[errno] !== undefined) this.failed(Object.assign(new Error(errno), { code: errno }));
  }

  #endsAll({ code }: SysbackupError): boolean {
    if (code === 'STORE_FAILED') this.#storeFailures += 1;
    return (
      code === 'ABORTED' ||
      code === 'LIMIT' ||
      code === 'STORE_UNSUITABLE' ||
      // Refused although others were not: a matter of that object (its key, its storage class).
      (code === 'ACCESS_DENIED' && !this.#anyFetched) ||
      this.#storeFailures >= STORE_FAILURES
    );
  }
}
