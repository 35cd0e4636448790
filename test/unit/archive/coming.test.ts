import { describe, expect, it } from 'vitest';
import { Coming } from '#src/archive/coming.js';

describe('Coming', () => {
  it('is what it was settled with, without a promise', () => {
    const coming = new Coming<number>();
    coming.settle(7);
    coming.settle(8);
    coming.fail(new Error('too late'));
    expect(coming.whenReady()).toBe(7);
  });

  it('tells who waits for it', async () => {
    const [first, second] = [new Coming<number | undefined>(), new Coming<number>()];
    const waiting = [first.whenReady(), second.whenReady()];
    first.settle(undefined);
    second.fail(new Error('failed'));
    expect(await waiting[0]).toBeUndefined();
    await expect(waiting[1]).rejects.toThrow('failed');
  });

  it('that failed before anybody waited tells so then, and to nobody else', async () => {
    const coming = new Coming<number>();
    coming.fail(new Error('failed'));
    // An unhandled rejection would fail the test run.
    await new Promise((resolve) => setImmediate(resolve));
    await expect(coming.whenReady()).rejects.toThrow('failed');
  });
});
