import { priceOfRequests, type RequestCounts } from '#src/index.js';
import type { SeenKind } from '../proxy/request-kind.js';

/** What S3 charges the peers' own kinds of requests as. Deleting and aborting are free. */
const CHARGED_AS: Partial<Record<SeenKind, keyof RequestCounts>> = {
  copy: 'put',
  'create-multipart': 'put',
  'upload-part': 'put',
  'complete-multipart': 'put',
  'head-bucket': 'head',
  other: 'get',
};

const FREE: ReadonlySet<SeenKind> = new Set(['delete', 'abort-multipart']);

/** US dollars at S3's list prices, for objects of class STANDARD. */
export function priceOf(requests: Partial<Record<SeenKind, number>>): number {
  const charged: RequestCounts = {};
  for (const [kind, count] of Object.entries(requests) as [SeenKind, number][]) {
    if (FREE.has(kind)) continue;
    const as = (CHARGED_AS[kind] ?? kind) as keyof RequestCounts;
    charged[as] = (charged[as] ?? 0) + count;
  }
  return priceOfRequests(charged);
}
