import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { decode } from '#src/content/decode.js';
import { ContentPool, type ContentPoolOptions } from '#src/content/pool.js';
import { startWorker } from '#src/content/pool-reader.js';
import type { EncodedBlock, ReadHandlers } from '#src/content/types.js';
import { zstd } from '#src/content/zstd.js';
import { pathFromText } from '#src/files/byte-path.js';
import { type FileStat, lstat } from '#src/files/stat.js';
import { startThread } from '#src/threads.js';
import { hasFlockProgram, holdLock } from './hold-lock.js';

const folder = mkdtempSync(join(tmpdir(), 'content-pool-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const written = (content: Uint8Array | string, name = '') => {
  const path = join(folder, `f${files++}${name}`);
  writeFileSync(path, content);
  return pathFromText(path);
};
const statOf = (path: string) => lstat(pathFromText(path)) as FileStat;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const moduleOf = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);

const BLOCK = 64 * 1024;
const pools: ContentPool[] = [];
const newPool = (more: Partial<ContentPoolOptions> = {}) => {
  const pool = new ContentPool({
    blockSize: BLOCK,
    compression: 'gzip',
    level: 1,
    lockTimeoutMs: 0,
    ...more,
  });
  pools.push(pool);
  return pool;
};
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

/** A copy that stays when the pool uses the memory again. */
const kept = (block: EncodedBlock): EncodedBlock => ({
  ...block,
  stored: { ...block.stored, bytes: Uint8Array.from(block.stored.bytes) },
});

/** Handlers that put the content together. */
class Collected implements ReadHandlers {
  blocks: EncodedBlock[] = [];
  restarts = 0;
  block(block: EncodedBlock, index: number): Promise<void> {
    this.blocks[index] = kept(block);
    return Promise.resolve();
  }
  restart(): void {
    this.restarts++;
    this.blocks = [];
  }
  get plain(): Buffer {
    return Buffer.concat(
      this.blocks.map(({ size, stored }) => decode(stored.bytes, stored.enc, { size, what: 'a block' })),
    );
  }
}

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe.each([0, 1, 2])('ContentPool with %i workers', (workers) => {
  it('reads many small files, and says of each that fails why', async () => {
    const pool = newPool({ workers });
    const reads = Array.from({ length: 300 }, async (_, i) => {
      const missing = i % 50 === 7;
      const content = i % 3 === 0 ? randomBytes(i * 10) : Buffer.from(`file ${i}\n`.repeat(i));
      const path = missing ? pathFromText(join(folder, `missing ${i}`)) : written(content);
      const collected = new Collected();
      const reading = pool.read(path, collected, missing || i % 2 ? undefined : statOf(path));
      if (missing) {
        await expect(reading).rejects.toMatchObject({ name: 'ReadFailure', code: 'ENOENT', path });
        return;
      }
      const { sha, size, stat } = await reading;
      expect(collected.plain.equals(content)).toBe(true);
      expect(hex(sha)).toBe(sha256(content));
      expect(size).toBe(content.length);
      expect(stat.inodeId).toBe(statOf(path).inodeId);
      expect(stat.mtimeNs).toBe(statOf(path).mtimeNs);
    });
    await Promise.all(reads);
  });

  it('gives memory free once a block has been dealt with, and not where that failed or goes on', async () => {
    const pool = newPool({ workers });
    for (const size of [1000, BLOCK, 3 * BLOCK]) {
      const views: Uint8Array[] = [];
      const gate = deferred();
      const path = written(randomBytes(size));
      const reading = pool.read(path, {
        async block({ stored }) {
          views.push(stored.bytes);
          await gate.promise;
        },
        restart() {},
      });
      // Another reading's end shows that the first one's bytes had time to go.
      await pool.read(written('another'), { block: () => undefined, restart() {} });
      expect(views.every(({ length }) => length > 0)).toBe(true);
      gate.resolve();
      await reading;
      await turn();
      expect(views.length).toBe(Math.ceil(size / BLOCK));
      expect(views.map(({ length }) => length)).toEqual(views.map(() => 0));
      const failed: Uint8Array[] = [];
      const refused = pool.read(path, {
        block({ stored }) {
          failed.push(stored.bytes);
          return Promise.reject(new Error('no'));
        },
        restart() {},
      });
      await expect(refused).rejects.toThrow('no');
      await pool.read(written('another'), { block: () => undefined, restart() {} });
      expect(failed[0]?.length).toBeGreaterThan(0);
    }
  });

  it('reads files that fill more than one message', async () => {
    const pool = newPool({ workers });
    const contents = Array.from({ length: 40 }, (_, i) => randomBytes(BLOCK - i));
    const reads = contents.map(async (content) => {
      const collected = new Collected();
      await pool.read(written(content), collected);
      expect(collected.plain.equals(content)).toBe(true);
    });
    await Promise.all(reads);
  });

  it('reads files of several blocks, and goes on while one of them is on its way', async () => {
    const content = Buffer.concat([randomBytes(3 * BLOCK), Buffer.alloc(4 * BLOCK + 5)]);
    const path = written(content);
    const collected = new Collected();
    let [came, settled] = [0, 0];
    let nextCame = deferred();
    const reading = await newPool({ workers }).read(
      path,
      {
        restart: () => collected.restart(),
        async block(block, index) {
          came++;
          nextCame.resolve();
          nextCame = deferred();
          void collected.block(block, index);
          if (came < 8) await nextCame.promise;
          else for (let i = 0; i < 5; i++) await turn();
          settled++;
        },
      },
      statOf(path),
    );
    expect(settled).toBe(8);
    expect(collected.plain.equals(content)).toBe(true);
    expect(hex(reading.sha)).toBe(sha256(content));
  });

  it('asks of each block of a long file whether it is known, and encodes only the others', async () => {
    const content = randomBytes(12 * BLOCK + 5);
    const path = written(content);
    const asked: string[] = [];
    const collected = new Collected();
    const handlers: ReadHandlers = {
      restart() {},
      block: (block, index) => collected.block(block, index),
      known({ sha, size }, index) {
        asked[index] = `${hex(sha)} ${size}`;
        const known = index % 3 > 0;
        return index % 2 ? known : turn(known);
      },
    };
    const pool = newPool({ workers });
    const reading = await pool.read(path, handlers, statOf(path));
    expect(hex(reading.sha)).toBe(sha256(content));
    const parts = Array.from({ length: 13 }, (_, i) => content.subarray(i * BLOCK, (i + 1) * BLOCK));
    expect(asked).toEqual(parts.map((part) => `${sha256(part)} ${part.length}`));
    expect(Object.keys(collected.blocks)).toEqual(['0', '3', '6', '9', '12']);
    for (const [index, { size, stored }] of Object.entries(collected.blocks))
      expect(sha256(decode(stored.bytes, stored.enc, { size, what: 'a block' }))).toBe(
        sha256(parts[Number(index)] ?? Buffer.alloc(0)),
      );
    // A file of one block is encoded as it is read, so that there is nothing to ask.
    const short = new Collected();
    await pool.read(written('short'), { ...handlers, block: (block, index) => short.block(block, index) });
    expect(short.plain.toString()).toBe('short');
    expect(asked).toHaveLength(13);
  });

  it('ends a reading with the error of asking', async () => {
    const pool = newPool({ workers });
    const failure = new Error('the store is away');
    const path = written(randomBytes(9 * BLOCK));
    const block = () => undefined;
    const rejecting: ReadHandlers = { restart() {}, block, known: () => Promise.reject(failure) };
    const throwing: ReadHandlers = {
      restart() {},
      block,
      known() {
        throw failure;
      },
    };
    await expect(pool.read(path, rejecting, statOf(path))).rejects.toBe(failure);
    await expect(pool.read(path, throwing, statOf(path))).rejects.toBe(failure);
    expect((await pool.read(path, new Collected(), statOf(path))).size).toBe(9 * BLOCK);
  });

  it('takes no block for one of a file that was begun again meanwhile', async () => {
    const pool = newPool({ workers });
    const contents = Array.from({ length: 4 }, (_, i) => randomBytes((8 + i) * BLOCK));
    const reads = contents.map(async (content) => {
      const path = written(content);
      const collected = new Collected();
      const [changed, restarted] = [deferred(), deferred()];
      const handedOn: number[] = [];
      const reading = await pool.read(
        path,
        {
          restart() {
            collected.restart();
            handedOn.splice(0);
            restarted.resolve();
          },
          block(block, index) {
            handedOn.push(index);
            return collected.block(block, index);
          },
          async known(_, index) {
            if (collected.restarts > 0) return false;
            // Until the first block is asked for the others keep their memory, and the file cannot be read to its end.
            if (index > 0) await changed.promise;
            else {
              utimesSync(path, 1, 1); // a change that is whole at once, whatever the reader does meanwhile
              changed.resolve();
              await restarted.promise;
            }
            return false;
          },
        },
        statOf(path),
      );
      expect(reading).toMatchObject({ changed: false, size: content.length });
      expect(collected.restarts).toBe(1);
      expect(handedOn.sort((a, b) => a - b)).toEqual([...collected.blocks.keys()]);
      expect(collected.plain.equals(content)).toBe(true);
    });
    await Promise.all(reads);
  });

  it('goes on with other files while the blocks of a long one wait', async () => {
    const pool = newPool({ workers });
    const [stalled, released] = [deferred(), deferred()];
    const path = written(randomBytes(20 * BLOCK));
    let came = 0;
    const long = pool.read(
      path,
      {
        restart() {},
        block() {
          came++;
          stalled.resolve();
          return released.promise;
        },
      },
      statOf(path),
    );
    await stalled.promise;
    for (let i = 0; i < 5; i++) {
      const small = new Collected();
      await pool.read(written(`small ${i}`), small);
      expect(small.plain.toString()).toBe(`small ${i}`);
    }
    expect(came).toBeLessThanOrEqual(2 * Math.max(1, workers) + 1);
    released.resolve();
    expect((await long).size).toBe(20 * BLOCK);
    expect(came).toBe(20);
  });

  it.skipIf(!hasFlockProgram)('goes on while it waits for a lock (needs flock)', async () => {
    const pool = newPool({ workers, lockTimeoutMs: 60_000 });
    const paths = Array.from({ length: 4 }, (_, i) => written(`locked ${i}`));
    const holders = await Promise.all(paths.map((path) => holdLock(path)));
    const locked = paths.map((path) => pool.read(path, new Collected()));
    const free = await pool.read(written('free'), new Collected());
    expect(free.unlocked).toBe(false);
    await Promise.all(holders.map((holder) => holder.release()));
    for (const reading of locked) expect((await reading).unlocked).toBe(false);
  });

  it('starts again with a long file that changes', async () => {
    const path = written(randomBytes(6 * BLOCK));
    const collected = new Collected();
    const reading = await newPool({ workers }).read(path, {
      restart: () => collected.restart(),
      block(block, index) {
        if (collected.blocks.length === 0 && collected.restarts === 0) appendFileSync(path, 'more');
        return collected.block(block, index);
      },
    });
    expect(collected.restarts).toBe(1);
    expect(reading).toMatchObject({ changed: false, size: 6 * BLOCK + 4 });
    expect(sha256(collected.plain)).toBe(hex(reading.sha));
  });

  it("ends a reading with its handler's error, and goes on with the others", async () => {
    const pool = newPool({ workers });
    const failure = new Error('no room in the store');
    const path = written(randomBytes(6 * BLOCK));
    const failing: ReadHandlers = { restart() {}, block: () => Promise.reject(failure) };
    const throwing: ReadHandlers = {
      restart() {},
      block() {
        throw failure;
      },
    };
    await expect(pool.read(path, failing, statOf(path))).rejects.toBe(failure);
    await expect(pool.read(written('small'), throwing)).rejects.toBe(failure);
    expect((await pool.read(path, new Collected(), statOf(path))).size).toBe(6 * BLOCK);
  });

  it('refuses a FIFO and another inode in the place of the file', async () => {
    const pool = newPool({ workers });
    const path = written('a file');
    const stat = statOf(path);
    renameSync(written('another'), path);
    await expect(pool.read(path, new Collected(), stat)).rejects.toMatchObject({ code: 'REPLACED' });
    rmSync(path);
    execFileSync('mkfifo', [path]);
    await expect(pool.read(path, new Collected(), stat)).rejects.toMatchObject({ code: 'NOT_REGULAR' });
  });

  it('stops at once when the signal fires', async () => {
    const stop = new AbortController();
    const pool = newPool({ workers, signal: stop.signal });
    const stalled = deferred();
    const path = written(randomBytes(5 * BLOCK));
    const never = new Promise<void>(() => {});
    const long = pool.read(path, {
      restart() {},
      block() {
        stalled.resolve();
        return never;
      },
    });
    await stalled.promise;
    const queued = pool.read(written('queued'), new Collected());
    stop.abort();
    await expect(long).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(queued).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(pool.read(path, new Collected())).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('refuses to read once it is closed, or made with a signal that has fired', async () => {
    const pool = newPool({ workers });
    const pending = pool.read(written('x'), new Collected());
    await Promise.all([expect(pending).rejects.toMatchObject({ code: 'ABORTED' }), pool.close()]);
    await expect(pool.read(written('x'), new Collected())).rejects.toMatchObject({ code: 'ABORTED' });
    const late = newPool({ workers, signal: AbortSignal.abort() });
    await expect(late.read(written('x'), new Collected())).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('ContentPool', () => {
  it('holds no more than its budget while the handlers do not keep up', async () => {
    const MIB = 1024 * 1024;
    const pool = newPool({ workers: 0, blockSize: MIB, compression: 'none' });
    const released = deferred();
    let held = 0;
    let most = 0;
    const reads = Array.from({ length: 40 }, () => {
      const path = written('');
      truncateSync(path, MIB);
      const block = async () => {
        most = Math.max(most, ++held);
        await released.promise;
        held--;
      };
      return pool.read(path, { restart() {}, block }, statOf(path));
    });
    // In the calling thread everything that can go on does so within some turns.
    for (let i = 0; i < 1000; i++) await turn();
    expect(held).toBeGreaterThanOrEqual(15);
    expect(held).toBeLessThanOrEqual(18);
    released.resolve();
    await Promise.all(reads);
    expect(most).toBeLessThanOrEqual(40);
  });

  it('starts threads when there is work for them, and no more than it takes', async () => {
    let started = 0;
    const counting: NonNullable<ContentPoolOptions['startWorker']> = (settings) => {
      started++;
      return startWorker(settings);
    };
    const pool = newPool({ workers: 2, startWorker: counting });
    await turn();
    expect(started).toBe(0);
    await Promise.all(Array.from({ length: 20 }, (_, i) => pool.read(written(`${i}`), new Collected())));
    expect(started).toBe(1);
    const path = written(randomBytes(5 * BLOCK));
    await pool.read(path, new Collected(), statOf(path));
    expect(started).toBe(2);
    const paths = Array.from({ length: 3 }, () => written(randomBytes(2 * BLOCK)));
    await Promise.all(paths.map((path) => pool.read(path, new Collected(), statOf(path))));
    expect(started).toBe(2);
  });

  it.each(['hash', 'encode'])(
    'loses only the file of which a block crashes the threads that %s it',
    async (kind) => {
      const code = `
      import { parentPort } from 'node:worker_threads';
      const on = parentPort.on.bind(parentPort);
      parentPort.on = (event, listener) => on(event, (message) => {
        if (message.kind === '${kind}' && message.bytes[0] === 99) process.exit(7);
        listener(message);
      });
      await import(${JSON.stringify(import.meta.resolve('#src/content/worker.js'))});`;
      const pool = newPool({
        workers: 2,
        startWorker: (settings) => startThread(moduleOf(code), settings, 2),
      });
      const bad = Buffer.concat(['a', 'b', 'c', 'd', 'e'].map((letter) => Buffer.alloc(BLOCK, letter)));
      const path = written(bad);
      await expect(pool.read(path, new Collected(), statOf(path))).rejects.toMatchObject({
        code: 'READER_CRASHED',
        message: expect.stringContaining('7'),
      });
      const content = randomBytes(9 * BLOCK + 1);
      for (let at = 0; at < content.length; at += BLOCK) content[at] = 0; // no block is one that crashes
      const [good, collected] = [written(content), new Collected()];
      await pool.read(good, collected, statOf(good));
      expect(collected.plain.equals(content)).toBe(true);
    },
  );

  it('loses only the file at which a thread crashes', async () => {
    // Ends the thread when it is given a file of that name; everything else is the real one.
    const code = `
      import { parentPort } from 'node:worker_threads';
      const on = parentPort.on.bind(parentPort);
      parentPort.on = (event, listener) => on(event, (message) => {
        if (message.jobs?.some((job) => job.path.endsWith('crash'))) process.exit(7);
        listener(message);
      });
      await import(${JSON.stringify(import.meta.resolve('#src/content/worker.js'))});`;
    const pool = newPool({
      workers: 2,
      startWorker: (settings) => startThread(moduleOf(code), settings, 2),
    });
    const good = Array.from({ length: 30 }, (_, i) => pool.read(written(`${i}`), new Collected()));
    const bad = pool.read(written('', 'crash'), new Collected());
    const more = Array.from({ length: 30 }, (_, i) => pool.read(written(`${i}`), new Collected()));
    await expect(bad).rejects.toMatchObject({
      code: 'READER_CRASHED',
      message: expect.stringContaining('7'),
    });
    expect((await Promise.all([...good, ...more])).length).toBe(60);
    expect((await pool.read(written('after'), new Collected())).size).toBe(5);
  });

  it.skipIf(zstd)('refuses zstd where this Node has none (runs on Node without zstd)', () => {
    expect(() => newPool({ compression: 'zstd' })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
  });
});

describe('ContentPool in a process of its own', () => {
  const run = async (code: string) => {
    const preamble = `
      const { ContentPool } = await import(${JSON.stringify(import.meta.resolve('#src/content/pool.js'))});
      const { lstat } = await import(${JSON.stringify(import.meta.resolve('#src/files/stat.js'))});`;
    const args = ['--input-type=module', '-e', preamble + code];
    return (await promisify(execFile)(process.execPath, args)).stdout.trim();
  };

  it('does not keep the process alive', async () => {
    const path = written('x');
    const size = await run(`
      const pool = new ContentPool({ workers: 1, blockSize: 99, compression: 'none', level: 1, lockTimeoutMs: 0 });
      const { size } = await pool.read(${JSON.stringify(path)}, { async block() {}, restart() {} });
      console.log(size);`);
    expect(size).toBe('1');
  });

  it('reads a sparse file of 1 GiB in little memory', async () => {
    const path = written('start');
    truncateSync(path, 1024 ** 3);
    const output = await run(`
      const path = ${JSON.stringify(path)};
      let blocks = 0, stored = 0;
      const pool = new ContentPool({ workers: 1, blockSize: 2 ** 24, compression: 'gzip', level: 6, lockTimeoutMs: 0 });
      const zeros = new Set();
      const handlers = {
        known: ({ sha }) => (blocks++, zeros.has(Buffer.from(sha).toString('hex'))),
        async block(b) { stored += b.stored.bytes.length; zeros.add(Buffer.from(b.sha).toString('hex')); },
        restart() {},
      };
      const { size, sha } = await pool.read(path, handlers, lstat(path));
      await pool.close();
      console.log(JSON.stringify({ size, blocks, stored, sha: Buffer.from(sha).toString('hex'),
        megabytes: process.resourceUsage().maxRSS / 1024 }));`);
    const sha = createHash('sha256').update('start');
    const zeros = Buffer.alloc(1024 * 1024);
    sha.update(zeros.subarray(5));
    for (let i = 1; i < 1024; i++) sha.update(zeros);
    const result = JSON.parse(output) as { megabytes: number; stored: number };
    expect(result).toMatchObject({ size: 1024 ** 3, blocks: 64, sha: sha.digest('hex') });
    expect(result.stored).toBeLessThan(100_000);
    expect(result.megabytes).toBeLessThan(200);
  });
});
