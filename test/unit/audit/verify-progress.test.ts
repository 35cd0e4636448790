import { createCipheriv } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ProgressView } from '#cli/presentation/progress-view.js';
import { verify } from '#src/audit/verify.js';
import type { Phase } from '#src/events.js';
import type { ObjectStore } from '#src/store/port.js';
import { BackupMachine } from '../../kit/backup-machine.js';

/** What a page, a lock and a byte take, in milliseconds of the test's own clock. */
interface Pace {
  page: number;
  lock: number;
  byte: number;
}

/** What was shown at a time, in seconds. */
interface Shown {
  phase: Phase;
  at: number;
  left: number | undefined;
}

/** Bytes that nothing compresses, the same each time for a length. */
function noise(length: number): Buffer {
  const key = Buffer.alloc(16, String(length));
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Time that goes on when all wait for it. */
class Clock {
  now = 0;
  #sleepers: { until: number; wake: () => void }[] = [];
  #turns = 0;

  async sleep(ms: number): Promise<void> {
    // As much as a network's answers differ.
    this.#turns += 1;
    const until = this.now + ms * (0.7 + 0.6 * ((this.#turns * 0.618) % 1));
    await new Promise<void>((wake) => {
      this.#sleepers.push({ until, wake });
      if (this.#sleepers.length === 1) this.#goOn();
    });
  }

  #goOn(): void {
    // What was woken has its turn first, and may wait for more.
    setImmediate(() =>
      setImmediate(() => {
        this.#sleepers.sort((a, b) => a.until - b.until);
        const next = this.#sleepers.shift();
        if (next === undefined) return;
        this.now = Math.max(this.now, next.until);
        next.wake();
        if (this.#sleepers.length > 0) this.#goOn();
      }),
    );
  }

  /** As a store that takes its time. */
  slow(
    store: ObjectStore,
    pace: Pace,
  ): Pick<ObjectStore, 'list' | 'get' | 'head' | 'getRetention' | 'now' | 'description'> {
    const sleep = async (ms: number): Promise<void> => await this.sleep(ms);
    async function* pieces(stored: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of stored)
        for (let at = 0; at < chunk.length; at += 16 << 10) {
          const piece = chunk.subarray(at, at + (16 << 10));
          await sleep(piece.length * pace.byte);
          yield piece;
        }
    }
    return {
      description: store.description,
      head: (key, version) => store.head(key, version),
      now: () => store.now(),
      list: async (request) => {
        await sleep(pace.page);
        return await store.list({ ...request, limit: Math.min(request.limit ?? 2, 2) });
      },
      getRetention: async (key, version) => {
        await sleep(pace.lock);
        return await store.getRetention(key, version);
      },
      get: async (key, version, range) => {
        const stored = await store.get(key, version, range);
        return key.startsWith('manifests/') ? stored : Readable.from(pieces(stored), { objectMode: false });
      },
    };
  }
}

async function watch(machine: BackupMachine, pace: Pace): Promise<{ shown: Shown[]; ended: number }> {
  const clock = new Clock();
  const view = new ProgressView(() => clock.now);
  const shown: Shown[] = [];
  const result = await verify({
    store: clock.slow(machine.store, pace),
    readData: 100,
    spoolFolder: machine.folder,
    onEvent: (event) => {
      if (event.type === 'phase') view.enter(event.phase);
      if (event.type !== 'progress') return;
      view.update(event);
      shown.push({ phase: event.phase, at: clock.now / 1000, left: view.secondsLeft });
    },
  });
  expect(result.findings).toEqual([]);
  return { shown, ended: clock.now / 1000 };
}

describe('the time that a verification has left', () => {
  it.each<[string, Pace]>([
    ['where looking up takes longest', { page: 20_000, lock: 3000, byte: 0.1 }],
    ['where reading takes longest', { page: 20_000, lock: 2000, byte: 1 }],
  ])('is right within a factor of two in each phase, %s', async (_, pace) => {
    const machine = new BackupMachine();
    machine.settings.content.bundleBelow = 2000;
    machine.settings.content.blockSize = 64 << 20;
    // Of their own, in bundles, and one that takes as long as all the others.
    for (let number = 0; number < 400; number++) machine.write(`own/${number}`, noise(3000 + 40 * number));
    for (let number = 0; number < 300; number++) machine.write(`small/${number}`, noise(1500 + number));
    machine.write('large', noise(5 << 20));
    machine.write('packed', 'the same line again and again\n'.repeat(200_000));
    expect((await machine.archive()).summary.outcome).toBe('complete');

    const { shown, ended } = await watch(machine, pace);
    const phases = [...new Set(shown.map(({ phase }) => phase))];
    expect(phases).toEqual(['verify', 'verify-locks', 'verify-data']);
    for (const [index, phase] of phases.entries()) {
      const own = shown.filter((one) => one.phase === phase);
      const from = own[0]?.at ?? 0;
      const next = phases[index + 1];
      const to = shown.find((one) => one.phase === next)?.at ?? ended;
      for (const { at, left } of own) if (at - from < 5) expect(left).toBeUndefined();
      expect(to - from, phase).toBeGreaterThan(40);
      for (const share of [0.25, 0.5, 0.75]) {
        // What a person sees then is what was drawn last.
        const time = from + share * (to - from);
        const seen = own.filter(({ at }) => at <= time).at(-1);
        const what = `${phase} at ${share * 100} % of ${Math.round(to - from)} s`;
        expect(seen?.left, what).toBeGreaterThan((to - time) / 2);
        expect(seen?.left, what).toBeLessThan((to - time) * 2);
      }
    }
  });
});
