import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import type { DirectoryEntry } from '#src/manifest/types.js';
import { ContentFetcher, type Piece } from '#src/restore/fetch-content.js';
import { FolderSpool } from '#src/restore/folder-spool.js';
import { MemoryBudget } from '#src/restore/memory-budget.js';
import { StopCause } from '#src/restore/stop-cause.js';
import { TaskPool } from '#src/restore/task-pool.js';
import { writeContent } from '#src/restore/write-content.js';
import { directory, sha256 } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parts-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('FolderSpool', () => {
  it.each([0, 1, 4096, 4097, 10_000])('gives %d folders back in reverse order', async (count) => {
    const spool = new FolderSpool(folder);
    for (let index = 0; index < count; index += 1) await spool.add(directory(`/${index}`));
    const back: DirectoryEntry[] = [];
    for await (const batch of spool.reversed()) back.push(...batch);
    expect(back.map(({ path }) => path)).toEqual(
      Array.from({ length: count }, (_, i) => `/${count - 1 - i}`),
    );
    await spool.remove();
  });
});

describe('writeContent', () => {
  it('writes any pieces at their places, with zeros as holes', async () => {
    const piece = fc.record({
      bytes: fc
        .tuple(fc.nat(9000), fc.uint8Array({ maxLength: 20 }), fc.nat(9000))
        .map(([before, data, after]) => Buffer.concat([Buffer.alloc(before), data, Buffer.alloc(after)])),
      times: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const whole = Buffer.concat(pieces.flatMap(({ bytes, times }) => Array<Buffer>(times).fill(bytes)));
        const path = join(folder, 'f');
        const fd = openSync(path, 'w');
        const sha = await writeContent(fd, whole.length, from(pieces));
        closeSync(fd);
        expect(sha).toBe(sha256(whole));
        expect(readFileSync(path).equals(whole)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('allocates nothing for zeros', async () => {
    const path = join(folder, 'f');
    const fd = openSync(path, 'w');
    await writeContent(fd, 50 * 1024 * 1024, from([{ bytes: Buffer.alloc(1024 * 1024), times: 50 }]));
    closeSync(fd);
    expect(statSync(path)).toMatchObject({ size: 50 * 1024 * 1024, blocks: 0 });
  });

  it('stops between repeated pieces', async () => {
    const fd = openSync(join(folder, 'f'), 'w');
    const controller = new AbortController();
    let seen = 0;
    const onBytes = (bytes: number): void => {
      seen += bytes;
      if (seen >= 5000) controller.abort();
    };
    const endless = from([{ bytes: Buffer.alloc(1000), times: Number.MAX_SAFE_INTEGER }]);
    const writing = writeContent(fd, 10, endless, { onBytes, signal: controller.signal });
    await expect(writing).rejects.toMatchObject({ code: 'ABORTED' });
    closeSync(fd);
    expect(seen).toBe(5000);
  });
});

async function* from(pieces: Piece[]): AsyncGenerator<Piece, void> {
  yield* pieces;
}

describe('TaskPool', () => {
  it('runs so many tasks at a time and no more', async () => {
    const pool = new TaskPool(3);
    let running = 0;
    let most = 0;
    for (let index = 0; index < 20; index += 1)
      await pool.start(async () => {
        most = Math.max(most, (running += 1));
        for (let turn = 0; turn < index % 4; turn += 1) await setImmediate();
        running -= 1;
      });
    await pool.idle();
    expect({ running, most }).toEqual({ running: 0, most: 3 });
  });
});

describe('MemoryBudget', () => {
  it('grants in order, never more than there is, and takes back once', async () => {
    const budget = new MemoryBudget(10);
    const granted: string[] = [];
    const first = await budget.take(6);
    const second = budget.take(100).then((release) => {
      granted.push('all');
      return release;
    });
    const third = budget.take(1).then((release) => {
      granted.push('one');
      return release;
    });
    await Promise.resolve();
    expect(granted).toEqual([]);
    first();
    first();
    const release = await second;
    expect(granted).toEqual(['all']);
    release();
    (await third)();
    expect(granted).toEqual(['all', 'one']);
    (await budget.take(10))();
  });
});

describe('StopCause', () => {
  it.each(['ENOSPC', 'EDQUOT', 'EROFS'])('ends all at %s', (code) => {
    const stop = new StopCause('/target');
    stop.failed(Object.assign(new Error(code), { code }));
    expect(stop.error).toMatchObject({ code: 'SYSTEM', message: expect.stringContaining('/target') });
  });

  it('goes on after failures that concern one path', () => {
    const stop = new StopCause('/target');
    stop.failedWith('EACCES');
    for (const code of ['NOT_FOUND', 'DAMAGED', 'SYSTEM'] as const)
      stop.failed(new SysbackupError(code, 'x'));
    for (let round = 0; round < 30; round += 1) {
      stop.failed(new SysbackupError('STORE_FAILED', 'x'));
      stop.fetched();
    }
    stop.failed(new SysbackupError('ACCESS_DENIED', 'x'));
    expect(stop.error).toBeUndefined();
  });
});

describe('a file that a folder spool cannot be written to', () => {
  it('is said', async () => {
    writeFileSync(join(folder, 'file'), '');
    const spool = new FolderSpool(join(folder, 'file'));
    const adding = async (): Promise<void> => {
      for (let index = 0; index < 5000; index += 1) await spool.add(directory(`/${index}`));
    };
    await expect(adding()).rejects.toMatchObject({ code: 'SYSTEM' });
  });
});

describe('ContentFetcher', () => {
  it('asks for nothing of what still waits when all has to end', async () => {
    const store = new FakeStore();
    const refs = Array.from({ length: 20 }, (_, index) => {
      const key = `content/${index}`;
      return { key, ver: store.add(key, Buffer.from('text')) };
    });
    let reason: Error | undefined;
    const fetcher = new ContentFetcher(store, { concurrency: 2, stopped: () => reason });
    const all = Promise.allSettled(refs.map((ref) => fetcher.stored(ref, 4)));
    await Promise.resolve();
    await Promise.resolve();
    reason = new Error('no room is left');
    const results = await all;
    const asked = store.gets.length;
    expect(asked).toBeLessThan(20);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(asked);
    expect(results.at(-1)).toMatchObject({ reason: { message: 'no room is left' } });
  });
});
