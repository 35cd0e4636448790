import type { IncomingHttpHeaders } from 'node:http';
import type { RequestKind } from '#src/index.js';

/** What S3 calls a request, as its price list distinguishes: the library's kinds, and those that only peers send. */
export type SeenKind =
  | RequestKind
  | 'copy'
  | 'create-multipart'
  | 'upload-part'
  | 'complete-multipart'
  | 'abort-multipart'
  | 'delete'
  | 'head-bucket'
  | 'other';

/** By method, path-style URL and headers. */
export function kindOf(method: string, url: string, headers: IncomingHttpHeaders): SeenKind {
  const { pathname, searchParams: query } = new URL(url, 'http://server');
  const isObject = /^\/[^/]+\/./.test(pathname);
  if (method === 'DELETE') return query.has('uploadId') ? 'abort-multipart' : 'delete';
  if (method === 'POST') {
    if (query.has('delete')) return 'delete';
    if (query.has('uploads')) return 'create-multipart';
    return query.has('uploadId') ? 'complete-multipart' : 'other';
  }
  if (method === 'PUT') {
    if (!isObject) return 'other';
    if (query.has('retention')) return 'put-retention';
    if (query.has('uploadId')) return 'upload-part';
    return headers['x-amz-copy-source'] === undefined ? 'put' : 'copy';
  }
  if (method === 'HEAD') return isObject ? 'head' : 'head-bucket';
  if (method !== 'GET') return 'other';
  if (isObject) return query.has('retention') ? 'get-retention' : 'get';
  const asksForSettings = ['object-lock', 'location', 'versioning', 'policy', 'acl'].some((name) =>
    query.has(name),
  );
  return asksForSettings ? 'get-bucket-configuration' : 'list';
}
