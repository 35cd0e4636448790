/**
 * An answer that an S3 server does not give to what was asked: a captive portal's page, nothing at all, the answer to
 * something else, one without end. Says nothing of the store.
 */
export class NotS3Answer extends Error {
  override readonly name = 'NotS3Answer';

  /** @param why `it is a page` */
  constructor(why: string) {
    super(`the answer is not that of an S3 server: ${why}`);
  }
}
