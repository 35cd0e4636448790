import { describe, expect, it } from 'vitest';
import { MemoryStore } from '#src/store/memory.js';
import type { Retention } from '#src/store/port.js';
import { bodyOf } from '../../kit/bodies.js';
import { TestClock } from '../../kit/clock.js';

function setUp() {
  const clock = new TestClock('2026-03-01T12:00:00Z');
  const store = new MemoryStore({ now: clock.now });
  const lock = (days: number, mode: Retention['mode'] = 'GOVERNANCE'): Retention => ({
    mode,
    until: clock.seconds + days * 86_400,
  });
  const put = async (key: string, text: string, retention?: Retention): Promise<string> =>
    (await store.put({ key, body: bodyOf(text), retention })).version;
  const shown = async (key: string): Promise<string[]> =>
    (await store.list({ prefix: key })).versions.map(({ version, deleteMarker }) =>
      deleteMarker ? 'marker' : version,
    );
  return { clock, store, lock, put, shown };
}

describe('locks of the store in memory', () => {
  it('keep a version from being deleted until they end', async () => {
    const { clock, store, lock, put, shown } = setUp();
    const version = await put('k', 'x', lock(2));
    expect(() => store.deleteVersion('k', version)).toThrow('locked');
    clock.pass({ days: 2 });
    store.deleteVersion('k', version);
    expect(await shown('k')).toEqual([]);
  });

  it('give way to a bypass in GOVERNANCE mode only', async () => {
    const { store, lock, put } = setUp();
    const [governance, compliance] = [
      await put('g', 'x', lock(2)),
      await put('c', 'x', lock(2, 'COMPLIANCE')),
    ];
    store.deleteVersion('g', governance, { bypassGovernance: true });
    expect(() => store.deleteVersion('c', compliance, { bypassGovernance: true })).toThrow('locked');
  });

  it('may be set anew when they have ended, and change their mode then only', async () => {
    const { clock, store, lock, put } = setUp();
    const version = await put('k', 'x', lock(2));
    await expect(store.extendRetention('k', version, lock(3, 'COMPLIANCE'))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    clock.pass({ days: 3 });
    await store.extendRetention('k', version, lock(1, 'COMPLIANCE'));
    expect(await store.getRetention('k', version)).toEqual(lock(1, 'COMPLIANCE'));
  });

  it('must end in the future, and need a bucket that has them', async () => {
    const { store, lock, put } = setUp();
    await expect(put('k', 'x', lock(0))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const version = await put('k', 'x');
    expect(await store.getRetention('k', version)).toBeUndefined();
    await expect(store.extendRetention('k', version, lock(-1))).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
    const plain = new MemoryStore({ objectLock: false });
    expect((await plain.capabilities()).objectLock).toBe(false);
    await expect(plain.put({ key: 'k', body: bodyOf('x'), retention: lock(400) })).rejects.toThrow(
      'no Object Lock',
    );
  });
});

describe('what others do to the store in memory', () => {
  it('a delete marker hides, and destroys nothing', async () => {
    const { store, lock, put } = setUp();
    const version = await put('k', 'x', lock(1));
    const marker = store.addDeleteMarker('k');
    expect((await store.list({ prefix: '' })).versions).toMatchObject([
      { version: marker.version, deleteMarker: true, isLatest: true, etag: undefined },
      { version, deleteMarker: false, isLatest: false },
    ]);
    await expect(store.get('k', marker.version)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await store.head('k', version)).size).toBe(1);
  });

  it('foreign versions come on top, with whatever ETag', async () => {
    const { store, put } = setUp();
    const mine = await put('k', 'x');
    const { version } = store.putForeign({ key: 'k', bytes: Buffer.from('evil'), etag: 'abc-2' });
    expect((await store.list({ prefix: 'k' })).versions).toMatchObject([
      { version, etag: 'abc-2', isLatest: true },
      { version: mine, isLatest: false },
    ]);
  });
});

describe('lifecycle of the store in memory', () => {
  const rules = { expireAfterDays: 14, noncurrentDays: 1 };

  it('hides, then removes what is unlocked, then the marker that is left', async () => {
    const { clock, store, lock, put, shown } = setUp();
    const version = await put('k', 'x', lock(10));
    const seen: string[] = [];
    for (let day = 0; day <= 20; day += 1) {
      store.passNight(rules);
      seen.push((await shown('k')).map((found) => (found === version ? 'version' : found)).join('+'));
      clock.pass({ days: 1 });
    }
    const [hidden, empty] = ['marker+version', ''].map((state) => seen.indexOf(state));
    // Put at noon of day 0: 14 full days end at the midnight before noon of day 15; hidden at noon of that day, one
    // full day ends before noon of day 17.
    expect({ hidden, empty }).toEqual({ hidden: 15, empty: 17 });
  });

  it('passes over what is locked, until its lock has ended', async () => {
    const { clock, store, lock, put, shown } = setUp();
    const old = await put('k', 'old', lock(30));
    const young = await put('k', 'young', lock(40));
    for (let day = 0; day < 29; day += 1) {
      clock.pass({ days: 1 });
      store.passNight(rules);
    }
    expect(await shown('k')).toEqual(['marker', young, old]);
    await store.extendRetention('k', old, lock(30));
    clock.pass({ days: 20 });
    store.passNight(rules);
    expect(await shown('k')).toEqual(['marker', old]);
    clock.pass({ days: 11 });
    store.passNight(rules);
    store.passNight(rules);
    expect(await shown('k')).toEqual([]);
  });

  it('touches only its prefix', async () => {
    const { clock, store, put, shown } = setUp();
    const [a, b] = [await put('a/k', 'x'), await put('b/k', 'x')];
    clock.pass({ days: 30 });
    store.passNight({ ...rules, prefix: 'a/' });
    expect([await shown('a/'), await shown('b/')]).toEqual([['marker', a], [b]]);
  });
});
