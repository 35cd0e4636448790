import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import type { SysbackupEvent } from '#src/events.js';
import { pauseBefore } from '#src/store/backoff.js';
import { CountingStore } from '#src/store/counting.js';
import { MemoryStore } from '#src/store/memory.js';
import { openStore } from '#src/store/open.js';
import { retryRequests, type RetryOptions } from '#src/store/retry.js';
import { StoreError } from '#src/store/store-error.js';
import { bodyOf, randomBody, readAll } from '../../kit/bodies.js';
import { FaultyStore, type Fault } from '../../kit/faulty-store.js';

const retention = undefined;
const noPause = async (): Promise<void> => {};

function faulty(faults: Fault[], options: RetryOptions = {}) {
  const events: SysbackupEvent[] = [];
  const memory = new MemoryStore();
  const inner = new FaultyStore(memory, faults);
  const store = retryRequests(inner, { pause: noPause, listener: (event) => events.push(event), ...options });
  return { memory, inner, store, events };
}

describe('retrying', () => {
  it('repeats what may pass, tells each time, and gives the result', async () => {
    const { store, inner, events } = faulty([
      { request: 'put', nth: 1, when: 'before' },
      { request: 'put', nth: 2, when: 'before' },
    ]);
    const { version } = await store.put({ key: 'k', body: bodyOf('x'), retention });
    expect((await store.head('k', version)).size).toBe(1);
    expect(inner.seen.map(({ request }) => request)).toEqual(['put', 'put', 'put', 'head']);
    expect(events).toMatchObject([
      { type: 'retry', request: 'put', key: 'k', attempt: 1 },
      { type: 'retry', request: 'put', key: 'k', attempt: 2 },
    ]);
  });

  it('leaves two versions of the same bytes where only the answer was lost', async () => {
    const { store, memory } = faulty([{ request: 'put', nth: 1, when: 'after' }]);
    const { version } = await store.put({ key: 'k', body: bodyOf('x'), retention });
    const { versions } = await memory.list({ prefix: '' });
    expect(versions.map((row) => row.etag)).toEqual([versions[0]?.etag, versions[0]?.etag]);
    expect(versions.map((row) => row.version)).toContain(version);
  });

  it('covers every request', async () => {
    const kinds = [
      'put',
      'get',
      'head',
      'list',
      'get-retention',
      'put-retention',
      'get-bucket-configuration',
    ] as const;
    const { store, events, memory } = faulty(kinds.map((request) => ({ request, nth: 1, when: 'before' })));
    const { version } = await store.put({ key: 'k', body: bodyOf('x'), retention });
    for await (const _ of await store.get('k', version)) expect(_).toBeDefined();
    await store.head('k', version);
    await store.list({ prefix: '' });
    await store.getRetention('k', version);
    await store.extendRetention('k', version, {
      mode: 'GOVERNANCE',
      until: ((await memory.now()) / 1000 + 60) | 0,
    });
    await store.capabilities();
    expect(events.map((event) => event.type === 'retry' && event.request)).toEqual(kinds);
  });

  it('does not repeat what will not pass', async () => {
    const { store, inner } = faulty([
      { request: 'put', when: 'before', error: () => new StoreError('ACCESS_DENIED', 'no') },
      { request: 'head', when: 'before', error: () => new TypeError('a mistake of ours') },
    ]);
    await expect(store.put({ key: 'k', body: bodyOf('x'), retention })).rejects.toThrow('no');
    await expect(store.head('k', 'v')).rejects.toThrow('a mistake of ours');
    expect(inner.seen).toHaveLength(2);
  });

  it('gives up after so many attempts, or so much time', async () => {
    const always: Fault[] = [{ request: 'list', when: 'before' }];
    const few = faulty(always, { maxAttempts: 4 });
    await expect(few.store.list({ prefix: '' })).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(few.inner.seen).toHaveLength(4);

    let time = 0;
    const short = faulty(always, {
      maxElapsedMs: 100_000,
      maxAttempts: 1000,
      monotonic: () => time,
      random: () => 1,
      pause: async (ms) => {
        time += ms;
      },
    });
    await expect(short.store.list({ prefix: '' })).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(time).toBeLessThanOrEqual(100_000);
    expect(time).toBeGreaterThan(80_000);
  });

  it('ends in the middle of a pause when told to stop', async () => {
    const stop = new AbortController();
    const { store, inner } = faulty([{ request: 'list', when: 'before' }], { signal: stop.signal });
    const patient = retryRequests(inner, {
      signal: stop.signal,
      firstMs: 3_600_000,
      longestMs: 3_600_000,
      maxElapsedMs: 1e9,
      random: () => 1,
      listener: () => setImmediate(() => stop.abort()),
    });
    await expect(patient.list({ prefix: '' })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('waits longer each time, up to a limit, and never less than the store asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const options = { firstMs: 100, longestMs: 5000, random: () => random };
          const pause = pauseBefore(attempt, options);
          expect(pause).toBeGreaterThanOrEqual(0);
          expect(pause).toBeLessThanOrEqual(Math.min(5000, 100 * 2 ** (attempt - 1)));
          expect(pauseBefore(attempt, options, 3000)).toBeGreaterThanOrEqual(3000);
          expect(pauseBefore(attempt, options, 1e9)).toBeLessThanOrEqual(5000);
        },
      ),
    );
  });
});

describe('counting requests', () => {
  it('counts each attempt by its kind', async () => {
    const counting = new CountingStore(
      new FaultyStore(new MemoryStore(), [{ request: 'put', nth: 1, when: 'before' }]),
    );
    const store = retryRequests(counting, { pause: noPause });
    await store.put({ key: 'k', body: bodyOf('x'), retention });
    await store.list({ prefix: '' });
    await expect(store.head('k', 'none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(counting.requests).toEqual({ put: 2, list: 1, head: 1 });
  });

  it('stops before one too many, and keeps some for the end', async () => {
    const memory = new MemoryStore();
    const counting = new CountingStore(memory, { maxRequests: 4, reserve: 1 });
    const store = retryRequests(counting, { pause: noPause });
    for (const key of ['1', '2', '3']) await store.put({ key, body: bodyOf(key), retention });
    await expect(store.put({ key: '4', body: bodyOf('4'), retention })).rejects.toMatchObject({
      code: 'LIMIT',
    });
    expect((await memory.list({ prefix: '' })).versions).toHaveLength(3);
    counting.useReserve();
    await store.put({ key: 'manifest', body: bodyOf('m'), retention });
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({ code: 'LIMIT' });
    expect(counting.requests).toEqual({ put: 4 });
  });

  it('counts the question for the time only where one is sent', async () => {
    const silent = new CountingStore(new MemoryStore());
    await silent.now();
    expect(silent.requests).toEqual({});
    const asking = new CountingStore(Object.assign(new MemoryStore(), { knowsTime: false }));
    await asking.now();
    expect(asking.requests).toEqual({ list: 1 });
  });
});

describe('a stream that breaks', () => {
  const breakingAfter = (bytes: number, nth?: number): Fault => ({
    request: 'get',
    when: 'breaking',
    bytes,
    ...(nth === undefined ? {} : { nth }),
  });

  it('goes on where it broke off', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(400), { maxLength: 5 }), fc.nat(300), async (breaks, start) => {
        const { store } = faulty(breaks.map((bytes, index) => breakingAfter(bytes, index + 1)));
        const body = randomBody(1000);
        const { version } = await store.put({ key: 'k', body, retention });
        expect((await readAll(await store.get('k', version))).equals(body.bytes)).toBe(true);
        const part = await readAll(await store.get('k', version, { start, end: 900 }));
        expect(part.equals(body.bytes.subarray(start, 900))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('is given up where nothing more comes, and says how far it was', async () => {
    const { store, inner, events } = faulty([breakingAfter(10, 1), breakingAfter(0)]);
    const { version } = await store.put({ key: 'k', body: randomBody(100), retention });
    await expect(readAll(await store.get('k', version))).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('after 10 bytes'),
    });
    expect(inner.seen.filter(({ request }) => request === 'get')).toHaveLength(7);
    expect(events).toHaveLength(6);
  });

  it('goes on although going on is refused for a while', async () => {
    const { store } = faulty([breakingAfter(10, 1), { request: 'get', nth: 2, when: 'before' }]);
    const body = randomBody(100);
    const { version } = await store.put({ key: 'k', body, retention });
    expect((await readAll(await store.get('k', version))).equals(body.bytes)).toBe(true);
  });

  it('is not gone on with once its reader was told to stop', async () => {
    const stop = new AbortController();
    const { store, inner } = faulty([breakingAfter(10)], { signal: stop.signal });
    const { version } = await store.put({ key: 'k', body: randomBody(100), retention });
    const stream = await store.get('k', version);
    stop.abort();
    await expect(readAll(stream)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(inner.seen.filter(({ request }) => request === 'get')).toHaveLength(1);
  });
});

describe('opening a store', () => {
  it('counts and retries around a directory', async () => {
    const opened = await openStore({ kind: 'directory', path: import.meta.dirname }, { maxRequests: 1 });
    await opened.store.list({ prefix: 'x' });
    expect(opened.requests()).toEqual({ list: 1 });
    await expect(opened.store.list({ prefix: 'x' })).rejects.toBeInstanceOf(SysbackupError);
    await opened.store.close();
  });
});
