import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { SILENT } from './quiet-sdk.js';

type Logger = NonNullable<S3ClientConfig['logger']>;

/** The type wants an `info`, too, of which nothing would be heard. */
const LOGGER = SILENT as Logger;

export interface S3Timeouts {
  /** Milliseconds for a connection to come about. Default 10,000. */
  connect?: number;
  /** Milliseconds for which a connection may be silent, as a half-open one is for ever. Default 60,000. */
  idle?: number;
  /**
   * Milliseconds that a request may take until its answer has come whole, or an object begins to come. One that sends an
   * object has a millisecond more for each byte of it. Default 300,000.
   */
  answer?: number;
}

/** Sockets at most, so many more requests than that never help on one machine. */
const MOST_SOCKETS = 64;

/**
 * What a client for {@link openS3Store} must have, whoever makes it: `new S3Client({...s3ClientDefaults(), region,
 * credentials})`. One attempt per call, since retrying and counting are ours; no checksums that S3-compatible
 * servers do not know; timeouts; nothing printed.
 */
export function s3ClientDefaults(timeouts: S3Timeouts = {}): S3ClientConfig {
  return {
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Waiting for a "100 Continue" costs a round trip, and the SDK opens a connection of its own for it each time.
    expectContinueHeader: false,
    logger: LOGGER,
    requestHandler: {
      connectionTimeout: timeouts.connect ?? 10_000,
      socketTimeout: timeouts.idle ?? 60_000,
      httpAgent: { keepAlive: true, maxSockets: MOST_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MOST_SOCKETS },
      logger: LOGGER,
    },
  };
}
