import type { RestoreRequest, S3Client } from '@aws-sdk/client-s3';
import { SysbackupError } from '../errors.js';
import type { ColdStorage, Thawed, ThawRequest, ThawTier } from './cold.js';
import type { S3Sdk } from './s3-sdk.js';
import { s3ErrorName, type S3Action } from './s3-errors.js';

const TIERS = { bulk: 'Bulk', standard: 'Standard', expedited: 'Expedited' } as const satisfies Record<
  ThawTier,
  string
>;

interface ColdOptions {
  sdk: S3Sdk;
  client: S3Client;
  /** Where an object is, as requests name it. */
  place: (key: string, version: string) => { Bucket: string; Key: string; VersionId: string };
  /** Sends, and turns what is thrown into this library's errors. */
  request: <T>(action: S3Action, work: (abort: { abortSignal?: AbortSignal }) => Promise<T>) => Promise<T>;
}

/** S3's RestoreObject. Each call is one request, sent once. */
export class S3ColdStorage implements ColdStorage {
  readonly #options: ColdOptions;

  constructor(options: ColdOptions) {
    this.#options = options;
  }

  async thaw(key: string, version: string, { tier, days, storageClass }: ThawRequest): Promise<Thawed> {
    const { sdk, client, place, request } = this.#options;
    if (tier === 'expedited' && storageClass === 'DEEP_ARCHIVE')
      throw new SysbackupError('USAGE', 'objects of the class DEEP_ARCHIVE cannot be thawed expedited', {
        hint: 'Ask for standard (within 12 hours) or bulk (within 48).',
      });
    const job: RestoreRequest = { GlacierJobParameters: { Tier: TIERS[tier] } };
    // What Intelligent-Tiering archived comes back to stay, and AWS refuses a number of days for it.
    if (storageClass !== 'INTELLIGENT_TIERING') job.Days = days;
    const command = new sdk.RestoreObjectCommand({ ...place(key, version), RestoreRequest: job });
    return await request({ doing: 'thawing', key, version, rights: 's3:RestoreObject' }, async (abort) => {
      try {
        const { $metadata } = await client.send(command, abort);
        // 202: accepted; 200: there was a copy, and its days begin anew.
        return $metadata.httpStatusCode === 200 ? 'readable' : 'asked';
      } catch (error) {
        const name = s3ErrorName(error);
        if (name === 'RestoreAlreadyInProgress') return 'under-way';
        // Other than for a read it says here that there is nothing to be thawed.
        if (name === 'InvalidObjectState' || name === 'ObjectAlreadyInActiveTierError') return 'readable';
        throw error;
      }
    });
  }
}
