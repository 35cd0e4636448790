import { describe, expect, it } from 'vitest';
import { kindOf } from '../../../bench/proxy/request-kind.js';
import { priceOf } from '../../../bench/report/price.js';
import { S3_LIST_PRICES } from '#src/index.js';

describe('kindOf', () => {
  it.each([
    ['PUT', '/bucket/a/key', {}, 'put'],
    ['PUT', '/bucket/key', { 'x-amz-copy-source': '/bucket/other' }, 'copy'],
    ['PUT', '/bucket/key?retention&versionId=1', {}, 'put-retention'],
    ['PUT', '/bucket/key?partNumber=2&uploadId=x', {}, 'upload-part'],
    ['POST', '/bucket/key?uploads', {}, 'create-multipart'],
    ['POST', '/bucket/key?uploadId=x', {}, 'complete-multipart'],
    ['DELETE', '/bucket/key?uploadId=x', {}, 'abort-multipart'],
    ['DELETE', '/bucket/key', {}, 'delete'],
    ['POST', '/bucket?delete', {}, 'delete'],
    ['GET', '/bucket/key?versionId=1', {}, 'get'],
    ['GET', '/bucket/key?retention', {}, 'get-retention'],
    ['GET', '/bucket?versions&prefix=a/b', {}, 'list'],
    ['GET', '/bucket/?list-type=2', {}, 'list'],
    ['GET', '/bucket?object-lock', {}, 'get-bucket-configuration'],
    ['GET', '/bucket/?location=', {}, 'get-bucket-configuration'],
    ['HEAD', '/bucket/key', {}, 'head'],
    ['HEAD', '/bucket/', {}, 'head-bucket'],
  ] as const)('%s %s %j is %s', (method, url, headers, kind) => {
    expect(kindOf(method, url, headers)).toBe(kind);
  });
});

describe('priceOf', () => {
  const { put, get } = S3_LIST_PRICES.classes.STANDARD;

  it('charges each request of a multipart upload, and a copy, as a PUT', () => {
    const requests = { 'create-multipart': 1, 'upload-part': 7, 'complete-multipart': 1, copy: 1, put: 990 };
    expect(priceOf(requests)).toBeCloseTo(put, 12);
  });

  it('charges nothing for deleting and aborting, and what it does not know as a GET', () => {
    expect(priceOf({ delete: 5000, 'abort-multipart': 5000 })).toBe(0);
    expect(priceOf({ 'head-bucket': 500, other: 500 })).toBeCloseTo(get, 12);
  });
});
