import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openS3Store } from '#src/store/s3.js';
import type { ObjectStore, Retention } from '#src/store/port.js';
import { bodyOf, md5Of, randomBody, readAll } from '../../kit/bodies.js';
import {
  type Answer,
  configFor,
  EMPTY_LIST,
  ETAG,
  LOCKED,
  LOCKS,
  openedFor,
  PAGE,
  refusal,
  type Seen,
  serverOf,
  SIGNED,
  STORED,
} from '../../kit/fake-s3.js';

const LOCK: Retention = { mode: 'GOVERNANCE', until: 4_000_000_000 };
const TIME = 'Sun, 01 Mar 2026 12:00:00 GMT';

async function storeFor(
  answers: (Answer | undefined)[],
  prefix = '',
): Promise<{ store: ObjectStore; seen: Seen[] }> {
  const { endpoint, seen } = await serverOf(answers);
  const store = await openS3Store({ bucket: 'bucket', prefix, client: configFor(endpoint) });
  onTestFinished(() => store.close());
  return { store, seen };
}

const put = (store: ObjectStore) => store.put({ key: 'content/ab', body: bodyOf('bytes'), retention: LOCK });

describe('a PUT', () => {
  it('carries MD5, lock and metadata, and no checksum that servers may not know', async () => {
    const { store, seen } = await storeFor([STORED], 'host/');
    const metadata = { 'Backup-Output': 'grüße' };
    const stored = await store.put({
      key: 'content/ab',
      body: bodyOf('bytes'),
      retention: LOCK,
      metadata,
      storageClass: 'STANDARD_IA',
    });
    expect(stored).toEqual({ version: 'v' });
    const [request] = seen;
    expect(request?.url).toBe('/bucket/host/content/ab?x-id=PutObject');
    expect(request?.body.toString()).toBe('bytes');
    expect(request?.headers).toMatchObject({
      'content-md5': Buffer.from(md5Of(Buffer.from('bytes')), 'hex').toString('base64'),
      'content-length': '5',
      'x-amz-object-lock-mode': 'GOVERNANCE',
      'x-amz-object-lock-retain-until-date': '2096-10-02T07:06:40Z',
      'x-amz-meta-backup-output': expect.stringMatching(/^[\x21-\x7e]+$/),
      'x-amz-storage-class': 'STANDARD_IA',
    });
    const names = Object.keys(request?.headers ?? {});
    expect(names.filter((name) => /checksum|trailer|expect|content-encoding/.test(name))).toEqual([]);
  });

  it('of a bucket without versions stores version null', async () => {
    const { store } = await storeFor([{ status: 200, headers: { etag: ETAG } }]);
    expect(await store.put({ key: 'content/ab', body: bodyOf('bytes'), retention: undefined })).toEqual({
      version: 'null',
    });
  });
});

describe('an extended lock', () => {
  it('is sent with an MD5 and no other checksum', async () => {
    const { store, seen } = await storeFor([{ status: 200, headers: SIGNED }]);
    await store.extendRetention('k', 'v', LOCK);
    const [request] = seen;
    expect(request?.url).toBe('/bucket/k?retention=&versionId=v');
    const md5 = Buffer.from(md5Of(request?.body ?? Buffer.alloc(0)), 'hex').toString('base64');
    expect(request?.headers['content-md5']).toBe(md5);
    expect(Object.keys(request?.headers ?? {}).filter((name) => name.includes('checksum'))).toEqual([]);
  });
});

describe('a refusal', () => {
  it.each([
    ['AccessDenied', 403, 'ACCESS_DENIED', /s3:PutObject and s3:PutObjectRetention.*docs\/permissions\.md/],
    ['InvalidAccessKeyId', 403, 'ACCESS_DENIED', /access key/],
    ['SignatureDoesNotMatch', 403, 'ACCESS_DENIED', /secret key/],
    ['ExpiredToken', 400, 'ACCESS_DENIED', /run out/],
    ['NoSuchBucket', 404, 'NOT_FOUND', /endpoint http/],
    ['PermanentRedirect', 301, 'CONFIG', /\[s3\] region/],
    ['InvalidArgument', 400, 'STORE_FAILED', undefined],
  ])('with %s (%i) is %s and is not repeated', async (code, status, expected, hint) => {
    const { store } = await storeFor([refusal(status, code)]);
    const error = await put(store).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: expected,
      retryable: false,
      message: expect.stringContaining(code === 'NoSuchBucket' ? 's3://bucket' : code),
    });
    if (hint !== undefined) expect(error).toMatchObject({ hint: expect.stringMatching(hint) });
  });

  it.each([
    ['SlowDown', 503, true],
    ['TooManyRequests', 429, true],
    ['InternalError', 500, false],
    ['ServiceUnavailable', 503, true],
    ['RequestTimeout', 400, false],
    ['BadDigest', 400, false],
    ['RequestTimeTooSkewed', 403, false],
  ])(
    'with %s (%i) may pass, and says whether the store has too much to do',
    async (code, status, overloaded) => {
      const { store } = await storeFor([refusal(status, code)]);
      await expect(put(store)).rejects.toMatchObject({ code: 'STORE_FAILED', retryable: true, overloaded });
    },
  );

  it('that is no XML, and an answer that is cut off, may pass', async () => {
    for (const answer of [
      { status: 502, body: '<html><body>Bad gateway<br></body></html>' },
      { status: 504, body: '' },
      { status: 200, body: '<ListVersionsResult><Version><Key>abc' },
    ]) {
      const { store } = await storeFor([answer]);
      await expect(store.list({ prefix: '' })).rejects.toMatchObject({
        code: 'STORE_FAILED',
        retryable: true,
      });
    }
  });

  it('of a HEAD, which says nothing, names the right it takes', async () => {
    const { store } = await storeFor([{ status: 403 }]);
    for (const read of [() => store.head('k', 'v'), () => store.get('k', 'v')])
      await expect(read()).rejects.toMatchObject({
        code: 'ACCESS_DENIED',
        // First what to do, since the right is none for the key that backs up.
        hint: expect.stringMatching(/^The key that backs up cannot read, by design: .* s3:GetObjectVersion/),
      });
  });

  it('tells how long to wait', async () => {
    const { store } = await storeFor([{ ...refusal(503, 'SlowDown'), headers: { 'retry-after': '7' } }]);
    await expect(put(store)).rejects.toMatchObject({ retryAfterMs: 7000 });
  });

  it('carries what S3 said, and neither the request nor its signature', async () => {
    const { store } = await storeFor([
      { ...refusal(403, 'AccessDenied'), headers: { 'x-amz-request-id': 'R1' } },
    ]);
    const error = await put(store).catch((error: unknown) => error);
    expect(error).toMatchObject({
      cause: { name: 'AccessDenied', message: 'refused', status: 403, requestId: 'R1' },
    });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/credential=|authorization/i);
  });

  it('for a damaged body is final where the body was wrong from the start', async () => {
    const { store } = await storeFor([refusal(400, 'BadDigest')]);
    const body = { ...bodyOf('bytes'), md5: md5Of(Buffer.from('other')) };
    await expect(store.put({ key: 'k', body, retention: LOCK })).rejects.toMatchObject({ code: 'DAMAGED' });
  });

  it.each([
    ['NoSuchKey', 404],
    ['NoSuchVersion', 404],
    ['MethodNotAllowed', 405],
  ])('with %s (%i) says that the version is not there', async (code, status) => {
    const { store } = await storeFor([refusal(status, code)]);
    for (const request of [
      () => store.get('k', 'v'),
      () => store.getRetention('k', 'v'),
      () => store.extendRetention('k', 'v', LOCK),
    ])
      await expect(request()).rejects.toMatchObject({ code: 'NOT_FOUND', retryable: false });
    const { store: bare } = await storeFor([{ status }]);
    await expect(bare.head('k', 'v')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('Object Lock', () => {
  it('is there where the bucket says so', async () => {
    const { store } = await storeFor([{ status: 200, body: LOCKS }]);
    expect(await store.capabilities()).toEqual({ objectLock: true, versioning: true });
  });

  it.each([refusal(404, 'ObjectLockConfigurationNotFoundError'), refusal(501, 'NotImplemented')])(
    'is not there where the bucket has none, or the server does not know it',
    async (answer) => {
      const { store } = await storeFor([STORED, answer]);
      await put(store);
      expect(await store.capabilities()).toEqual({ objectLock: false, versioning: true });
      const { store: plain } = await storeFor([answer]);
      expect(await plain.capabilities()).toEqual({ objectLock: false, versioning: false });
    },
  );

  it('that may not be asked for is ACCESS_DENIED, with the right that is missing', async () => {
    const { store } = await storeFor([refusal(403, 'AccessDenied')]);
    await expect(store.capabilities()).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('s3:GetBucketObjectLockConfiguration'),
    });
  });

  it('is undefined for a version without a lock', async () => {
    for (const answer of [
      refusal(404, 'NoSuchObjectLockConfiguration'),
      refusal(400, 'InvalidRequest', 'Bucket is missing Object Lock Configuration'),
    ]) {
      const { store } = await storeFor([answer]);
      expect(await store.getRetention('k', 'v')).toBeUndefined();
    }
  });
});

describe('a listing', () => {
  it('puts versions and delete markers in one order, below the prefix', async () => {
    const row = (kind: string, key: string, version: string, time: string, latest: boolean): string =>
      `<${kind}><Key>${key}</Key><VersionId>${version}</VersionId><IsLatest>${latest}</IsLatest>` +
      `<LastModified>2026-01-01T00:00:${time}Z</LastModified>${kind === 'Version' ? '<Size>3</Size><ETag>"e"</ETag>' : ''}</${kind}>`;
    const rows = [
      row('Version', 'p/a+b%0A', '2', '05', false),
      row('Version', 'p/a+b%0A', '1', '01', false),
      row('DeleteMarker', 'p/a+b%0A', '3', '05', true),
      row('DeleteMarker', 'p/a+b%0A', '1m', '03', false),
      row('Version', 'p/c', '4', '05', true),
      row('DeleteMarker', 'p/d', '5', '05', true),
    ];
    const body = `<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>p/d%20</NextKeyMarker><NextVersionIdMarker>5</NextVersionIdMarker>${rows.join('')}</ListVersionsResult>`;
    const { store, seen } = await storeFor(
      [
        { status: 200, body },
        { status: 200, body: '<ListVersionsResult/>' },
      ],
      'p/',
    );
    const page = await store.list({ prefix: 'a', limit: 7 });
    expect(page.versions.map(({ key, version }) => `${key} ${version}`)).toEqual([
      ...['3', '2', '1m', '1'].map((version) => `a b\n ${version}`),
      'c 4',
      'd 5',
    ]);
    expect(page.versions[0]).toMatchObject({ deleteMarker: true, etag: undefined, isLatest: true });
    expect(page.versions[1]).toMatchObject({ deleteMarker: false, etag: 'e', size: 3 });
    await store.list({ prefix: 'a', continuation: page.next ?? '' });
    const [first, second] = seen.map(({ url }) => new URL(url, 'http://x').searchParams);
    expect(first?.get('max-keys')).toBe('7');
    expect(second?.get('prefix')).toBe('p/a');
    expect(second?.get('key-marker')).toBe('p/d ');
    expect(second?.get('version-id-marker')).toBe('5');
  });
});

describe('the time', () => {
  const dated = (answer: Answer): Answer => ({ ...answer, headers: { ...answer.headers, date: TIME } });

  it.each([
    ['a listing', { status: 200, body: EMPTY_LIST }, (store: ObjectStore) => store.list({ prefix: '' })],
    ['a PUT', STORED, put],
    [
      'the question for Object Lock',
      { status: 200, body: LOCKS },
      (store: ObjectStore) => store.capabilities(),
    ],
    [
      'the question for a lock',
      { status: 200, body: LOCKED },
      (store: ObjectStore) => store.getRetention('k', 'v'),
    ],
  ])('is that of the first answer that is understood: %s', async (_, answer, ask) => {
    const { store, seen } = await storeFor([dated(answer)]);
    await ask(store);
    expect(Math.abs((await store.now()) - Date.parse(TIME))).toBeLessThan(5000);
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['a refusal', refusal(403, 'AccessDenied')],
    ['a failure', refusal(503, 'SlowDown')],
    ['a wrong clock', refusal(403, 'RequestTimeTooSkewed')],
    ['a page', PAGE],
    ['nothing', { status: 200 }],
  ])('is not that of %s', async (_, answer) => {
    const now = new Date().toUTCString();
    const list: Answer = { status: 200, body: EMPTY_LIST, headers: { date: now } };
    for (const ask of [put, (store: ObjectStore) => store.list({ prefix: '' })]) {
      const { store } = await storeFor([dated(answer), list]);
      await expect(ask(store)).rejects.toThrow();
      expect(Math.abs((await store.now()) - Date.now())).toBeLessThan(5000);
    }
  });

  it('costs one row of what may be listed where nothing was understood yet', async () => {
    const { endpoint, seen } = await serverOf([refusal(503, 'SlowDown'), { status: 200, body: EMPTY_LIST }]);
    const { store, requests } = await openedFor(endpoint);
    await store.now('manifests/web1/');
    await store.now('manifests/web1/');
    expect(seen.map(({ url }) => new URL(url, 'http://x').searchParams.get('prefix'))).toEqual([
      'manifests/web1/',
      'manifests/web1/',
    ]);
    expect(requests()).toEqual({ list: 2 });
  });
});

describe('a clock that the store finds wrong', () => {
  const skewed = { ...refusal(403, 'RequestTimeTooSkewed'), headers: { date: TIME } };

  it('is signed by twice more, and then named beside the other', async () => {
    const { endpoint, seen } = await serverOf([skewed]);
    const { store } = await openedFor(endpoint);
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringMatching(
        /2026-03-01T12:00:00Z by the store's clock and \d{4}-.* by this machine's, .* apart/,
      ),
    });
    expect(signedAt(seen).map((time) => time.slice(0, 8))).toEqual([
      expect.not.stringContaining('20260301'),
      '20260301',
      '20260301',
    ]);
  });

  it('is not put right by a failure, or by a page', async () => {
    const wrong = (answer: Answer): Answer => ({ ...answer, headers: { ...answer.headers, date: TIME } });
    const answers = [wrong(refusal(503, 'SlowDown')), wrong(PAGE), { status: 200, body: EMPTY_LIST }];
    const { endpoint, seen } = await serverOf(answers);
    const { store } = await openedFor(endpoint);
    await store.list({ prefix: '' });
    expect(signedAt(seen).filter((time) => time.startsWith('20260301'))).toEqual([]);
  });

  it('does not have a refusal repeated for ever', async () => {
    const { endpoint, seen } = await serverOf([{ ...refusal(403, 'AccessDenied'), headers: { date: TIME } }]);
    const { store } = await openedFor(endpoint);
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(seen.length).toBeLessThanOrEqual(3);
  });

  function signedAt(seen: readonly Seen[]): string[] {
    return seen.map(({ headers }) => String(headers['x-amz-date']));
  }
});

describe('a connection', () => {
  it('that is refused may come back, a name that never resolved does not', async () => {
    const { endpoint, stop } = await serverOf([{ status: 200 }]);
    await stop();
    const refused = await openS3Store({ bucket: 'b', client: configFor(endpoint) });
    await expect(put(refused)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      retryable: true,
      message: expect.stringContaining(endpoint),
    });
    const unknown = await openS3Store({ bucket: 'b', client: configFor('http://nowhere.invalid') });
    await expect(put(unknown)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('that is silent ends in a timeout', async () => {
    const { store } = await storeFor([undefined]);
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_FAILED', retryable: true });
  });

  describe('that is slow', () => {
    const timeouts = { answer: 300 };
    const slow = { status: 200, bodyAfterMs: 1500 };

    it('ends in a failure where all of an answer does not come in time', async () => {
      const { endpoint } = await serverOf([{ ...slow, body: EMPTY_LIST }]);
      const { store } = await openedFor(endpoint, { timeouts, maxAttempts: 1 }, 1_000_000);
      for (const ask of [() => store.list({ prefix: '' }), () => put(store)])
        await expect(ask()).rejects.toMatchObject({
          code: 'STORE_FAILED',
          retryable: true,
          message: expect.stringContaining('not within 0.3'),
        });
    });

    it('is no matter once an object comes, or for as long as one takes to be sent', async () => {
      const object = { ...slow, ...STORED, body: 'bytes' };
      const { endpoint } = await serverOf(({ method, body }) =>
        method === 'GET' ? object : { ...slow, headers: { etag: md5Of(body), 'x-amz-version-id': 'v' } },
      );
      const { store } = await openedFor(endpoint, { timeouts, maxAttempts: 1 }, 1_000_000);
      expect((await readAll(await store.get('k', 'v'))).toString()).toBe('bytes');
      const body = randomBody(60_000);
      expect(await store.put({ key: 'k', body, retention: LOCK })).toEqual({ version: 'v' });
    });
  });

  it('ends when told to stop', async () => {
    const { endpoint } = await serverOf([undefined]);
    const stop = new AbortController();
    const store = await openS3Store({ bucket: 'b', client: configFor(endpoint), signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await expect(put(store)).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(put(store)).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('a body of pieces', () => {
  it('that cannot be read fails with that, and hangs nothing', async () => {
    const { store } = await storeFor([{ status: 200 }]);
    const pieces = [{ path: '/nonexistent/spool', start: 0, end: 10 }];
    const body = { pieces, size: 10, md5: md5Of(Buffer.alloc(10)) };
    await expect(store.put({ key: 'k', body, retention: LOCK })).rejects.toMatchObject({
      message: expect.stringContaining('ENOENT'),
    });
  });
});
