import { StoreError } from './store-error.js';

/** How soon, and at what price, AWS makes a frozen object readable. */
export type ThawTier = 'bulk' | 'standard' | 'expedited';

export interface ThawRequest {
  tier: ThawTier;
  /** Whole days that the readable copy stays. */
  days: number;
  /** Of the object, as a refused read told it: what moved into an archive tier by itself takes no days. */
  storageClass?: string | undefined;
}

/** What became of asking for an object. `readable`: it is so already. */
export type Thawed = 'asked' | 'under-way' | 'readable';

/**
 * Besides {@link ObjectStore}, for stores with classes whose objects cannot be read at once. Objects are not changed
 * by it: a readable copy of one is made beside it, for some days.
 */
export interface ColdStorage {
  /** Throws NOT_FOUND, ACCESS_DENIED, and USAGE for a tier that the object's class does not have. */
  thaw(key: string, version: string, request: ThawRequest): Promise<Thawed>;
}

/** An object was not read because it is frozen. */
export class FrozenObjectError extends StoreError {
  /** `GLACIER`, `DEEP_ARCHIVE`; undefined where the store does not say. */
  readonly storageClass: string | undefined;

  constructor(what: string, storageClass: string | undefined, cause: unknown) {
    super(
      'STORE_FAILED',
      `${what} failed: it is frozen${storageClass === undefined ? '' : ` (${storageClass})`}`,
      {
        cause,
        hint: 'It must be thawed first: restore it with --thaw.',
      },
    );
    this.storageClass = storageClass;
  }
}
