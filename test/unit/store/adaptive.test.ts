import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AdaptiveLimit } from '#src/store/adaptive-limit.js';
import { withAdaptiveConcurrency } from '#src/store/adaptive-store.js';
import { MemoryStore } from '#src/store/memory.js';
import type { ObjectStore, PutRequest, StoredVersion } from '#src/store/port.js';
import { retryRequests } from '#src/store/retry.js';
import { StoreError } from '#src/store/store-error.js';
import { bodyOf } from '../../kit/bodies.js';
import { TestClock } from '../../kit/clock.js';
import { changed } from '../../kit/store-wrappers.js';

/** A limit, and a store of which all is known: how many answers a second it gives to so many requests at once. */
class Scene {
  readonly clock = new TestClock();
  readonly limits: number[] = [];
  readonly limit: AdaptiveLimit;

  constructor(options: { first?: number; most?: number } = {}) {
    const note = (limit: number) => this.limits.push(limit);
    this.limit = new AdaptiveLimit({ monotonic: this.clock.now, changed: note, ...options });
  }

  work(seconds: number, answersPerSecond: (requests: number) => number, waiting = true): void {
    const end = this.clock.time + seconds * 1000;
    while (this.clock.time < end) {
      this.clock.pass({ ms: 1000 / answersPerSecond(this.limit.limit) });
      this.limit.answered(10_000, waiting);
    }
  }
}

describe('the limit of requests at once', () => {
  it('rises while more get done, to the most', () => {
    const scene = new Scene();
    scene.work(30, (requests) => requests * 10);
    expect(Math.max(...scene.limits)).toBe(64);
    expect(scene.limit.limit).toBeGreaterThanOrEqual(48);
  });

  it('stays near where more brings nothing', () => {
    const scene = new Scene();
    scene.work(60, (requests) => Math.min(requests, 30) * 10);
    // In trials it may be elsewhere for a moment; what it comes back to is what counts.
    expect(scene.limits.slice(-4).some((limit) => limit >= 27 && limit <= 45)).toBe(true);
    expect(Math.max(...scene.limits)).toBeLessThan(64);
  });

  it('falls where fewer get as much done, and rises again when the store takes more', () => {
    const scene = new Scene({ first: 48 });
    scene.work(120, () => 300);
    expect(scene.limit.limit).toBeLessThanOrEqual(8);
    scene.work(240, (requests) => requests * 10);
    expect(scene.limit.limit).toBeGreaterThanOrEqual(32);
  });

  it('does not change while nothing waits', () => {
    const scene = new Scene();
    scene.work(60, (requests) => requests * 10, false);
    expect(scene.limits).toEqual([]);
  });

  it('is lowered once for all refusals of what was under way, and again for later ones', () => {
    const { limit, clock } = new Scene({ first: 40 });
    const begun = clock.time;
    clock.pass({ ms: 50 });
    limit.refused(begun);
    limit.refused(begun + 10);
    expect(limit.limit).toBe(28);
    clock.pass({ ms: 50 });
    limit.refused(clock.time - 10);
    expect(limit.limit).toBe(19);
    for (let again = 0; again < 20; again++) {
      clock.pass({ ms: 50 });
      limit.refused(clock.time);
    }
    expect(limit.limit).toBe(2);
  });
});

/** A store whose PUTs end when the test says so. */
class SlowStore {
  readonly underWay: { key: string; end: (error?: Error) => void }[] = [];
  readonly store: ObjectStore;

  constructor() {
    this.store = changed(new MemoryStore(), { put: (request) => this.#put(request) });
  }

  #put({ key }: PutRequest): Promise<StoredVersion> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => {
        this.underWay.splice(
          this.underWay.findIndex((put) => put.key === key),
          1,
        );
        if (error) reject(error);
        else resolve({ version: 'v' });
      };
      this.underWay.push({ key, end });
    });
  }
}

function putOf(index: number): PutRequest {
  return { key: `content/${index}`, body: bodyOf(`${index}`), retention: undefined };
}

const slowDown = () => new StoreError('STORE_FAILED', 'slow down', { retryable: true, overloaded: true });

describe('a store with as many requests at once as it takes', () => {
  it('sends no more at once, and the rest in order, failures or not', async () => {
    const slow = new SlowStore();
    const store = withAdaptiveConcurrency(slow.store, { first: 3 });
    const puts = Array.from({ length: 8 }, (_, index) => store.put(putOf(index)));
    const ended = Promise.allSettled(puts);
    await turn();
    expect(slow.underWay.map(({ key }) => key)).toEqual(['content/0', 'content/1', 'content/2']);
    slow.underWay[1]?.end(new StoreError('STORE_FAILED', 'broken'));
    await turn();
    expect(slow.underWay.map(({ key }) => key)).toEqual(['content/0', 'content/2', 'content/3']);
    while (slow.underWay.length > 0) {
      expect(slow.underWay.length).toBeLessThanOrEqual(3);
      slow.underWay[0]?.end();
      await turn();
    }
    expect((await ended).map(({ status }) => status)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((index) => (index === 1 ? 'rejected' : 'fulfilled')),
    );
  });

  it('hears of a refusal that is repeated, sends the same again and fewer at once', async () => {
    const slow = new SlowStore();
    const adaptive = withAdaptiveConcurrency(slow.store, { first: 10 });
    const store = retryRequests(adaptive, { pause: async () => undefined });
    const puts = Array.from({ length: 30 }, (_, index) => store.put(putOf(index)));
    await turn();
    expect(slow.underWay).toHaveLength(10);
    for (const put of slow.underWay.slice()) put.end(slowDown());
    await turn();
    expect(slow.underWay).toHaveLength(7);
    const sent: string[] = [];
    while (slow.underWay.length > 0) {
      sent.push(slow.underWay[0]?.key ?? '');
      slow.underWay[0]?.end();
      await turn();
    }
    await Promise.all(puts);
    expect(sent.sort()).toEqual(Array.from({ length: 30 }, (_, index) => `content/${index}`).sort());
  });

  it('sends nothing more once stopped', async () => {
    const slow = new SlowStore();
    const stop = new AbortController();
    const store = withAdaptiveConcurrency(slow.store, { first: 2, signal: stop.signal });
    const puts = Promise.allSettled(Array.from({ length: 5 }, (_, index) => store.put(putOf(index))));
    await turn();
    stop.abort();
    for (const put of slow.underWay.slice()) put.end();
    const ended = await puts;
    expect(slow.underWay).toHaveLength(0);
    expect(ended.map((put) => (put.status === 'rejected' ? put.reason.code : put.value.version))).toEqual([
      'v',
      'v',
      'ABORTED',
      'ABORTED',
      'ABORTED',
    ]);
  });
});
