import type { Settings } from '../config/settings.js';
import type { RequestCounts } from '../events.js';
import { isPriced, priceOfRequests, storagePricePerMonth } from '../store/prices.js';
import type { RunPrice } from './options.js';

/**
 * What requests, and what is stored anew, cost at Amazon's list prices: the manifest's PUT as one to STANDARD, all else
 * as the settings' storage class. Undefined for a class without a price.
 */
export function priceOfRun(
  { requests, stored }: { requests: RequestCounts; stored: { objects: number; bytes: number } },
  destination: Settings['destination'],
): RunPrice | undefined {
  const s3 = destination.kind === 's3' ? destination.s3 : undefined;
  const storageClass = s3?.storageClass ?? 'STANDARD';
  if (!isPriced(storageClass)) return undefined;
  const manifests = Math.min(1, requests.put ?? 0);
  const others = { ...requests, put: (requests.put ?? 0) - manifests };
  return {
    requests: priceOfRequests(others, storageClass) + priceOfRequests({ put: manifests }),
    month: storagePricePerMonth(stored, storageClass),
    amazon: s3 !== undefined && isAmazon(s3.endpointUrl),
  };
}

function isAmazon(endpointUrl: string | undefined): boolean {
  if (endpointUrl === undefined) return true;
  const { hostname } = new URL(endpointUrl);
  return hostname.endsWith('.amazonaws.com') || hostname.endsWith('.amazonaws.com.cn');
}
