import { describe, expect, it } from 'vitest';
import type { ObjectStore, Retention } from '#src/store/port.js';
import { bodyOf } from '../../kit/bodies.js';
import {
  type Answer,
  EMPTY_LIST,
  ETAG,
  LOCKED,
  openedFor,
  PAGE,
  refusal,
  serverOf,
  SIGNED,
  STORED,
} from '../../kit/fake-s3.js';

const LOCK: Retention = { mode: 'GOVERNANCE', until: 4_000_000_000 };
const OTHER_ETAG = '0123456789abcdef0123456789abcdef';
const NOTHING: Answer = { status: 200 };

const put = (store: ObjectStore, retention: Retention | undefined = LOCK) =>
  store.put({ key: 'content/ab', body: bodyOf('bytes'), retention });

function stored(headers: Record<string, string>): Answer {
  return { status: 200, headers: { ...SIGNED, ...headers } };
}

/** A listing of versions of that key. */
function listing(...rows: { version: string; etag: string; size?: number }[]): Answer {
  const versions = rows.map(
    ({ version, etag, size = 5 }) =>
      `<Version><Key>content/ab</Key><VersionId>${version}</VersionId><Size>${size}</Size><ETag>"${etag}"</ETag></Version>`,
  );
  return { status: 200, body: `<ListVersionsResult>${versions.join('')}</ListVersionsResult>` };
}

async function storeFor(answers: (Answer | undefined)[]) {
  const { endpoint, seen } = await serverOf(answers);
  return { ...(await openedFor(endpoint)), seen };
}

function methods(seen: readonly { method: string }[]): string[] {
  return seen.map(({ method }) => method);
}

describe('a PUT that was answered', () => {
  it.each([
    ['with the MD5 and a version', { etag: `"${ETAG}"`, 'x-amz-version-id': 'v' }, 'md5'],
    ['with the MD5 in capitals', { etag: `"${ETAG.toUpperCase()}"`, 'x-amz-version-id': 'v' }, 'md5'],
    ['with an ETag of another form', { etag: '"abc-1"', 'x-amz-version-id': 'v' }, 'md5'],
    ...['aws:kms', 'aws:kms:dsse'].map((name): [string, Record<string, string>, string] => [
      `as encrypted by ${name}`,
      { etag: OTHER_ETAG, 'x-amz-version-id': 'v', 'x-amz-server-side-encryption': name },
      'opaque',
    ]),
    [
      "as encrypted by a customer's key",
      {
        etag: OTHER_ETAG,
        'x-amz-version-id': 'v',
        'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      },
      'opaque',
    ],
  ])('%s is believed', async (_, headers, etags) => {
    const { store, seen } = await storeFor([stored(headers)]);
    expect(await put(store)).toEqual({ version: 'v' });
    expect(methods(seen)).toEqual(['PUT']);
    expect(store.etags).toBe(etags);
  });

  it('with the MD5 and no version id, locked: unsuitable, and nothing is stored any more', async () => {
    const { store, seen } = await storeFor([stored({ etag: ETAG })]);
    for (let round = 0; round < 2; round++)
      await expect(put(store)).rejects.toMatchObject({
        code: 'STORE_UNSUITABLE',
        exitCode: 1,
        message: expect.stringContaining('something between here and the store removes x-amz-version-id'),
      });
    expect(methods(seen)).toEqual(['PUT']);
  });

  it.each([
    ['a version', 'v', { code: 'STORE_UNSUITABLE' }],
    ['the version null, as where versioning is suspended', 'null', undefined],
  ])(
    'without a version id, where versions were seen: it depends on the listing, %s',
    async (_, version, fails) => {
      const { store, seen } = await storeFor([
        listing({ version: 'older', etag: ETAG }),
        stored({ etag: ETAG }),
        listing({ version, etag: ETAG }),
        stored({ etag: ETAG }),
      ]);
      await store.list({ prefix: '' });
      const { retention } = { retention: undefined };
      const unlocked = () => store.put({ key: 'content/ab', body: bodyOf('bytes'), retention });
      if (fails === undefined) {
        expect(await unlocked()).toEqual({ version: 'null' });
        expect(await unlocked()).toEqual({ version: 'null' });
      } else await expect(unlocked()).rejects.toMatchObject(fails);
      expect(methods(seen)).toEqual(['GET', 'PUT', 'GET', ...(fails === undefined ? ['PUT'] : [])]);
    },
  );

  it('with another ETag, which the listing shows too: the ETags are no MD5 sums, which is said once', async () => {
    const answer = stored({ etag: OTHER_ETAG, 'x-amz-version-id': 'v' });
    const { store, seen, events } = await storeFor([
      answer,
      listing({ version: 'v', etag: OTHER_ETAG }, { version: 'older', etag: ETAG }),
      answer,
    ]);
    expect(await put(store)).toEqual({ version: 'v' });
    expect(store.etags).toBe('opaque');
    expect(await put(store)).toEqual({ version: 'v' });
    expect(methods(seen)).toEqual(['PUT', 'GET', 'PUT']);
    expect(events).toMatchObject([{ type: 'log', message: expect.stringContaining('no MD5 sums') }]);
  });

  it('so, several at once: one listing answers for all', async () => {
    const { endpoint, seen } = await serverOf(({ method }) =>
      method === 'PUT'
        ? stored({ etag: OTHER_ETAG, 'x-amz-version-id': 'v' })
        : listing({ version: 'v', etag: OTHER_ETAG }),
    );
    const { store, events } = await openedFor(endpoint);
    await Promise.all(Array.from({ length: 6 }, () => put(store)));
    expect(methods(seen).filter((method) => method === 'GET')).toHaveLength(1);
    expect(methods(seen)).toHaveLength(7);
    expect(events).toHaveLength(1);
  });

  it.each([
    ['another ETag', stored({ etag: OTHER_ETAG, 'x-amz-version-id': 'v' })],
    ['no ETag', NOTHING],
    ['a page', PAGE],
  ])('with %s, while the listing shows the bytes: something changes answers', async (_, answer) => {
    const { store, seen } = await storeFor([answer, listing({ version: 'w', etag: ETAG })]);
    for (let round = 0; round < 2; round++)
      await expect(put(store)).rejects.toMatchObject({
        code: 'STORE_UNSUITABLE',
        message: expect.stringContaining('changes its answers'),
      });
    expect(methods(seen)).toEqual(['PUT', 'GET']);
  });

  it.each([
    ['another ETag', stored({ etag: OTHER_ETAG, 'x-amz-version-id': 'v' })],
    ['no ETag', NOTHING],
    ['a page', PAGE],
  ])('with %s, and the listing does not show it: it is sent again', async (_, answer) => {
    const elsewhere = [{ version: 'w', etag: ETAG, size: 6 }];
    for (const shown of [listing(), listing(...elsewhere)]) {
      const { store, seen, events } = await storeFor([answer, shown, STORED]);
      expect(await put(store)).toEqual({ version: 'v' });
      expect(methods(seen)).toEqual(['PUT', 'GET', 'PUT']);
      expect(events).toMatchObject([{ type: 'retry', request: 'put', attempt: 1 }]);
    }
  });

  it("with S3's words for a failure is sent again", async () => {
    const failure = { status: 200, body: '<Error><Code>InternalError</Code></Error>' };
    const { store, seen } = await storeFor([failure, STORED]);
    expect(await put(store)).toEqual({ version: 'v' });
    expect(methods(seen)).toEqual(['PUT', 'PUT']);
  });

  it('so for ever ends, as what fails for ever', async () => {
    const { endpoint, seen } = await serverOf([
      NOTHING,
      { status: 200, body: EMPTY_LIST },
      NOTHING,
      listing(),
    ]);
    const { store } = await openedFor(endpoint, { maxAttempts: 2 });
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(methods(seen)).toEqual(['PUT', 'GET', 'PUT', 'GET']);
  });

  it('and whose listing fails: it is not sent again, since it may be there', async () => {
    const { endpoint, seen } = await serverOf([NOTHING, refusal(503, 'SlowDown')]);
    const { store } = await openedFor(endpoint, { maxAttempts: 3 });
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(methods(seen)).toEqual(['PUT', 'GET', 'GET', 'GET']);
  });

  it('with another ETag, where the key may not be listed: it must do, with a warning', async () => {
    const answer = stored({ etag: OTHER_ETAG, 'x-amz-version-id': 'v' });
    const denied = refusal(403, 'AccessDenied');
    const { store, events } = await storeFor([answer, denied, answer, denied]);
    expect(await put(store)).toEqual({ version: 'v' });
    expect(await put(store)).toEqual({ version: 'v' });
    expect(events).toMatchObject([{ type: 'log', level: 'warning' }]);
    const { store: other } = await storeFor([NOTHING, denied]);
    await expect(put(other)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });
});

describe('an extension that was answered', () => {
  const extend = (store: ObjectStore) => store.extendRetention('k', 'v', LOCK);

  it.each([
    ['with nothing', stored({})],
    ['with XML', { ...stored({}), body: '<PutObjectRetentionResult/>' }],
  ])("%s and S3's headers is believed", async (_, answer) => {
    const { store, seen } = await storeFor([answer]);
    await extend(store);
    expect(methods(seen)).toEqual(['PUT']);
  });

  it.each([
    ['a page', PAGE],
    ['a page that is nearly XML', { ...PAGE, body: '<html xmlns="http://www.w3.org/1999/xhtml"/>' }],
    ["S3's words for a failure", { ...stored({}), body: '<Error><Code>InternalError</Code></Error>' }],
    ['text', { ...stored({}), body: 'OK' }],
  ])('with %s is sent again', async (_, answer) => {
    const { store, seen } = await storeFor([answer, stored({})]);
    await extend(store);
    expect(methods(seen)).toEqual(['PUT', 'PUT']);
  });

  it('with nothing at all: the lock is asked for', async () => {
    const asIs = { status: 200, body: LOCKED };
    const { store, seen } = await storeFor([NOTHING, asIs]);
    await extend(store);
    expect(methods(seen)).toEqual(['PUT', 'GET']);
    const shorter = { status: 200, body: LOCKED.replace('2096', '2095') };
    const second = await storeFor([
      NOTHING,
      shorter,
      NOTHING,
      refusal(404, 'NoSuchObjectLockConfiguration'),
      stored({}),
    ]);
    await extend(second.store);
    expect(methods(second.seen)).toEqual(['PUT', 'GET', 'PUT', 'GET', 'PUT']);
  });
});

describe('what answers in place of the store', () => {
  const asks: [string, (store: ObjectStore) => Promise<unknown>][] = [
    ['a listing', (store) => store.list({ prefix: '' })],
    ['the question for Object Lock', (store) => store.capabilities()],
    ['the question for a lock', (store) => store.getRetention('k', 'v')],
    ['the question for the time', (store) => store.now()],
    ['a GET', (store) => store.get('k', 'v')],
    ['a HEAD', (store) => store.head('k', 'v')],
  ];
  const { etag: _, ...headers } = PAGE.headers ?? {};
  const answers: [string, Answer][] = [
    ['a page', { ...PAGE, headers }],
    ['nothing', NOTHING],
    ['another root element', { status: 200, body: '<ListBucketResult/>' }],
    ['garbage', { status: 200, body: '<?xml version="1.0"?><Lis<<>>&&\0' }],
    ["S3's words for a failure", { status: 200, body: '<Error><Code>InternalError</Code></Error>' }],
  ];

  it.each(asks.flatMap(([name, ask]) => answers.map(([what, answer]) => ({ name, ask, what, answer }))))(
    '$name: $what is a failure that may pass',
    async ({ ask, answer }) => {
      const { endpoint, seen } = await serverOf([answer]);
      const { store } = await openedFor(endpoint, { maxAttempts: 2 });
      await expect(ask(store)).rejects.toMatchObject({ code: 'STORE_FAILED', retryable: true });
      expect(seen).toHaveLength(2);
    },
  );

  it('a page with status 404 does not say that a version is gone', async () => {
    for (const status of [404, 405]) {
      const { store } = await storeFor([
        { ...PAGE, status },
        { ...stored({ etag: ETAG }), body: 'bytes' },
      ]);
      await store.get('k', 'v');
      const { store: other } = await storeFor([{ ...PAGE, status }, stored({})]);
      await other.extendRetention('k', 'v', LOCK);
    }
  });

  it('the answer to a GET is of that version, and of the bytes that were asked for', async () => {
    const right = stored({ etag: ETAG, 'x-amz-version-id': 'v' });
    const part = { ...right, status: 206, headers: { ...right.headers, 'content-range': 'bytes 2-4/5' } };
    for (const wrong of [
      { ...right, body: 'bytes' },
      { ...part, headers: { ...part.headers, 'content-range': 'bytes 0-2/5' } },
      { ...part, headers: { ...part.headers, 'x-amz-version-id': 'w' } },
    ]) {
      const { store, seen } = await storeFor([wrong, { ...part, body: 'tes' }]);
      const chunks: Buffer[] = [];
      for await (const chunk of await store.get('k', 'v', { start: 2, end: 5 })) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe('tes');
      expect(seen).toHaveLength(2);
    }
  });

  it('XML that is longer than any answer is a failure', async () => {
    const spaces = ' '.repeat(17 * 2 ** 20);
    const long = { status: 200, body: `<ListVersionsResult>${spaces}</ListVersionsResult>` };
    const { store, events } = await storeFor([long, { status: 200, body: EMPTY_LIST }]);
    expect(await store.list({ prefix: '' })).toEqual({ versions: [], next: undefined });
    expect(events).toMatchObject([{ type: 'retry', reason: expect.stringContaining('longer than') }]);
  });
});
