import { expect, it } from 'vitest';
import { EMPTY_LIST, openedFor, refusal, serverOf } from '../../kit/fake-s3.js';

const FIRST = { attempts: 2, withinMs: 20_000 };
const list = { prefix: '' };

it('an endpoint that is not there is tried as often as is said for before its first answer', async () => {
  const { endpoint, stop } = await serverOf([]);
  await stop();
  const { store, events } = await openedFor(endpoint, { firstAnswer: FIRST });
  await expect(store.list(list)).rejects.toMatchObject({ code: 'STORE_FAILED', exitCode: 1 });
  expect(events).toMatchObject([{ type: 'retry', attempt: 1 }]);
  const patient = await openedFor(endpoint, { maxAttempts: 5 });
  await expect(patient.store.list(list)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(patient.events).toHaveLength(4);
});

it('one that takes connections and says nothing, or shows a page, is too, within the time', async () => {
  for (const answer of [undefined, { status: 200, body: '<html/>' }, { status: 502, body: '<html/>' }]) {
    const { endpoint, seen } = await serverOf([answer]);
    // Without it, the first attempt alone would outlast this test.
    const firstAnswer = { ...FIRST, withinMs: 1500 };
    const { store } = await openedFor(endpoint, { firstAnswer, firstMs: 0 }, 1_000_000);
    await expect(store.list(list)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(seen).toHaveLength(2);
  }
});

it.each([
  ['an answer', { status: 200, body: EMPTY_LIST }],
  ["a refusal in S3's words", refusal(403, 'AccessDenied')],
])('after %s there is as much patience as ever', async (_, answer) => {
  const { endpoint, stop } = await serverOf([answer]);
  const { store, events } = await openedFor(endpoint, { firstAnswer: FIRST, maxAttempts: 5 });
  await store.list(list).catch(() => undefined);
  await stop();
  events.length = 0;
  await expect(store.list(list)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(events).toHaveLength(4);
});

it('a store that says it has too much to do has answered', async () => {
  const { endpoint, seen } = await serverOf([refusal(503, 'SlowDown')]);
  const { store } = await openedFor(endpoint, { firstAnswer: FIRST, maxAttempts: 5 });
  await expect(store.list(list)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(seen).toHaveLength(5);
});

it('a listing that is to come within a time fails by then, however often it may be repeated', async () => {
  const { endpoint } = await serverOf([undefined]);
  const { store } = await openedFor(endpoint, {}, 1_000_000);
  await expect(store.list({ ...list, withinMs: 200 })).rejects.toMatchObject({
    code: 'STORE_FAILED',
    message: expect.stringContaining('not within'),
  });
});
