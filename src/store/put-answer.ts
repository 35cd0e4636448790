import { StoreError } from './store-error.js';

/** What an answer to a PUT says. */
export interface PutAnswer {
  /** Without quotes. */
  etag: string | undefined;
  version: string | undefined;
  /** It names a kind of encryption under which ETags are no MD5 sums. */
  isEncrypted: boolean;
  /** Its body is no XML, and not empty. */
  isPage: boolean;
}

export const REMOVES_VERSION =
  'something between here and the store removes x-amz-version-id from its answers';

const MD5_ETAG = /^[0-9a-f]{32}$/i;

/** Whether an ETag may be the MD5 of the bytes. */
export function mayBeMd5(etag: string | undefined): boolean {
  return etag !== undefined && MD5_ETAG.test(etag);
}

/**
 * Whether an answer to a PUT is believed. `stored`: the store has it. `unversioned`: it has, and no answer says as which
 * version. `doubtful`: only a listing can tell.
 */
export function judgePut(
  { etag, version, isEncrypted, isPage }: PutAnswer,
  expected: { md5: string; isVersioned: boolean; etags: 'md5' | 'opaque' },
): 'stored' | 'unversioned' | 'doubtful' {
  const lacksVersion = version === undefined && expected.isVersioned;
  if (etag?.toLowerCase() === expected.md5) return lacksVersion ? 'unversioned' : 'stored';
  if (etag === undefined || isPage || lacksVersion) return 'doubtful';
  return isEncrypted || expected.etags === 'opaque' || !mayBeMd5(etag) ? 'stored' : 'doubtful';
}

/** An answer to a PUT that is not believed before a listing has been asked: see {@link judgePut}. */
export class DoubtfulPut extends StoreError {
  readonly answer: PutAnswer;
  readonly isVersioned: boolean;

  constructor(doing: string, answer: PutAnswer, isVersioned: boolean) {
    const { etag, isPage } = answer;
    const what = isPage
      ? 'a page'
      : etag === undefined
        ? 'no ETag'
        : 'another ETag than the MD5 of the bytes';
    super('STORE_FAILED', `${doing} was answered with ${what}`);
    this.answer = answer;
    this.isVersioned = isVersioned;
  }
}

/** An extended lock was answered without anything that only S3 says: its answer is empty, as a page may be. */
export class DoubtfulExtension extends StoreError {
  constructor(doing: string) {
    super('STORE_FAILED', `${doing} was answered with nothing, not even S3's headers`);
  }
}
