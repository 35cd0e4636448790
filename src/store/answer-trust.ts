import { StoreError } from './store-error.js';

/** What has been learnt of a store's answers since it was opened. Whoever asks it shares this. */
export class AnswerTrust {
  /**
   * Whether an ETag of 32 hex digits is the MD5 of the bytes. Not under SSE-KMS, and not on every server; then ETags say
   * nothing about bytes.
   */
  etags: 'md5' | 'opaque' = 'md5';
  /** Versioning is suspended: what is stored without a version id is the version `null`, although others have one. */
  isSuspended = false;
  #unsuitable: StoreError | undefined;

  /**
   * Something in between takes away what must be known, so that each PUT would leave a version that nobody knows: no
   * other is sent. Returns the error.
   */
  refuse(doing: string, why: string): StoreError {
    this.#unsuitable ??= new StoreError('STORE_UNSUITABLE', `${doing}: ${why}`, {
      hint: 'Is there a proxy, which has to pass on all headers of answers? What was being stored may be there.',
    });
    return this.#unsuitable;
  }

  /** Throws STORE_UNSUITABLE where a PUT makes no sense any more. */
  check(): void {
    if (this.#unsuitable !== undefined) throw this.#unsuitable;
  }
}
