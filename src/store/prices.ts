import type { RequestCounts, RequestKind } from '../events.js';
import type { ThawTier } from './cold.js';

/** What one storage class costs. US dollars; a GB is 2^30 bytes, as Amazon bills it. */
export interface StorageClassPrices {
  /** A GB stored for a month. */
  storage: number;
  /** 1000 PUT, COPY or POST. */
  put: number;
  /** 1000 GET, HEAD and all others but LIST, DELETE (free) and thawing. */
  get: number;
  /** A GB read. */
  read: number;
  /** An object is billed as if it had this many bytes, if it has fewer. */
  leastBytes: number;
  /** Besides its own bytes an object is billed for so many of its class and of STANDARD. */
  overhead: { own: number; standard: number };
  /** 1000 objects watched for a month. */
  watching: number;
  /** Thawing by how fast it is: 1000 requests, and a GB. Empty where objects can be read at once. */
  thaw: Partial<Record<ThawTier, { requests: number; gb: number }>>;
}

export interface ListPrices {
  currency: 'USD';
  /** AWS region, in its own words. Others cost up to twice as much. */
  region: string;
  /** Month in which the prices were as here. */
  date: string;
  source: string;
  /** 1000 LIST, whatever class the listed objects have. */
  list: number;
  classes: Record<PricedStorageClass, StorageClassPrices>;
}

/** The classes that a PUT to an ordinary bucket can ask for, and that have a price of today. */
export type PricedStorageClass =
  | 'STANDARD'
  | 'INTELLIGENT_TIERING'
  | 'STANDARD_IA'
  | 'ONEZONE_IA'
  | 'GLACIER_IR'
  | 'GLACIER'
  | 'DEEP_ARCHIVE'
  | 'REDUCED_REDUNDANCY';

const KB = 1024;
const AT_ONCE = { leastBytes: 0, overhead: { own: 0, standard: 0 }, watching: 0, thaw: {} };
const FROZEN = { ...AT_ONCE, overhead: { own: 32 * KB, standard: 8 * KB } };

/**
 * Amazon's list prices of S3 in us-east-1, June 2026: the first step of each scale, without the free tier, taxes and
 * what leaving the region costs. From https://aws.amazon.com/s3/pricing/, compared with the Price List API's
 * https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonS3/current/us-east-1/index.json, both as quoted by
 * others, since neither could be reached where this was written. To change a price, change it here and the date.
 */
export const S3_LIST_PRICES: ListPrices = {
  currency: 'USD',
  region: 'us-east-1',
  date: '2026-06',
  source: 'https://aws.amazon.com/s3/pricing/',
  list: 0.005,
  classes: {
    STANDARD: { ...AT_ONCE, storage: 0.023, put: 0.005, get: 0.0004, read: 0 },
    INTELLIGENT_TIERING: {
      ...AT_ONCE,
      // Of its tier for what is read often, in which objects begin.
      storage: 0.023,
      put: 0.005,
      get: 0.0004,
      read: 0,
      // Smaller objects than 128 KB are not watched; that is not known where objects are only counted.
      watching: 0.0025,
      thaw: { bulk: { requests: 0, gb: 0 }, standard: { requests: 0, gb: 0 } },
    },
    STANDARD_IA: { ...AT_ONCE, storage: 0.0125, put: 0.01, get: 0.001, read: 0.01, leastBytes: 128 * KB },
    ONEZONE_IA: { ...AT_ONCE, storage: 0.01, put: 0.01, get: 0.001, read: 0.01, leastBytes: 128 * KB },
    GLACIER_IR: { ...AT_ONCE, storage: 0.004, put: 0.02, get: 0.01, read: 0.03, leastBytes: 128 * KB },
    GLACIER: {
      ...FROZEN,
      storage: 0.0036,
      put: 0.03,
      get: 0.0004,
      read: 0,
      thaw: {
        bulk: { requests: 0, gb: 0 },
        standard: { requests: 0.05, gb: 0.01 },
        expedited: { requests: 10, gb: 0.03 },
      },
    },
    DEEP_ARCHIVE: {
      ...FROZEN,
      storage: 0.00099,
      put: 0.05,
      get: 0.0004,
      read: 0,
      thaw: { bulk: { requests: 0.025, gb: 0.0025 }, standard: { requests: 0.1, gb: 0.02 } },
    },
    // No longer on the page, and dearer than STANDARD.
    REDUCED_REDUNDANCY: { ...AT_ONCE, storage: 0.024, put: 0.005, get: 0.0004, read: 0 },
  },
};

/** Whether there is a price for objects of this class. */
export function isPriced(storageClass: string): storageClass is PricedStorageClass {
  return Object.hasOwn(S3_LIST_PRICES.classes, storageClass);
}

/**
 * Which price a kind of request has. That extending a lock counts as a PUT of the object's class is a guess, the dearer
 * one: Amazon's pages name neither PutObjectRetention nor its like, and no bill has shown it yet.
 */
const PRICED_AS: Record<RequestKind, 'put' | 'get' | 'list' | 'thaw'> = {
  put: 'put',
  'put-retention': 'put',
  list: 'list',
  get: 'get',
  head: 'get',
  'get-retention': 'get',
  'get-bucket-configuration': 'get',
  thaw: 'thaw',
};

/**
 * US dollars for requests, by {@link S3_LIST_PRICES}, all to objects of one class (default STANDARD). Without bytes
 * read, and without thawing, for which see {@link priceOfThawing}.
 */
export function priceOfRequests(
  counts: RequestCounts,
  storageClass: PricedStorageClass = 'STANDARD',
): number {
  const { list, classes } = S3_LIST_PRICES;
  const { put, get } = classes[storageClass];
  const per1000 = { put, get, list, thaw: 0 };
  let sum = 0;
  for (const [kind, as] of Object.entries(PRICED_AS) as [RequestKind, keyof typeof per1000][])
    sum += (counts[kind] ?? 0) * per1000[as];
  return sum / 1000;
}

/** US dollars a month for so many objects of about the same size, which together have so many bytes. */
export function storagePricePerMonth(
  { objects, bytes }: { objects: number; bytes: number },
  storageClass: PricedStorageClass = 'STANDARD',
): number {
  const { storage, leastBytes, overhead, watching } = S3_LIST_PRICES.classes[storageClass];
  const billed = Math.max(bytes, objects * leastBytes) + objects * overhead.own;
  const beside = objects * overhead.standard * S3_LIST_PRICES.classes.STANDARD.storage;
  return inGb(billed) * storage + inGb(beside) + (objects * watching) / 1000;
}

/**
 * US dollars for making objects readable: the requests, the retrieval, and the copies that stay for `days`. Undefined
 * where the class has no such tier, or no price.
 */
export function priceOfThawing(
  { objects, bytes }: { objects: number; bytes: number },
  { storageClass, tier, days }: { storageClass: string; tier: ThawTier; days: number },
): number | undefined {
  if (!isPriced(storageClass)) return undefined;
  const price = S3_LIST_PRICES.classes[storageClass].thaw[tier];
  if (price === undefined) return undefined;
  // What Intelligent-Tiering thaws is moved, not copied.
  const copies = storageClass === 'INTELLIGENT_TIERING' ? 0 : S3_LIST_PRICES.classes.STANDARD.storage;
  return (objects * price.requests) / 1000 + inGb(bytes) * (price.gb + (copies * days) / DAYS_OF_MONTH);
}

const DAYS_OF_MONTH = 30;

function inGb(bytes: number): number {
  return bytes / 2 ** 30;
}
