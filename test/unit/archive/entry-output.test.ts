import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type CarriedBlock, EntryOutput, type OutputEntry } from '#src/archive/entry-output.js';
import {
  BlockRecords,
  DOUBTFUL,
  ENTRY_FRAME,
  EntryBlock,
  EntryBlockWriter,
} from '#src/catalog/entry-blocks.js';
import type { FramePlace } from '#src/catalog/frames.js';
import type { BytePath } from '#src/files/byte-path.js';
import { PACKED_STAT_SIZE } from '#src/files/stat.js';
import { type Member, memberHash } from '#src/manifest/member.js';
import type { ManifestSink } from '#src/manifest/spool.js';
import { OwnMemory } from '#src/own-memory.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const MEMBER_BYTES = randomBytes(10);
const MEMBER: Member = { length: MEMBER_BYTES.length, hash: memberHash(MEMBER_BYTES) };

/** Where no block is: one that is kept is written nonetheless. */
const FRAME: FramePlace = { index: -1, type: ENTRY_FRAME, start: 0, length: 0 };

/** A sink that is done with a block only when it is told to. */
function slowSink() {
  const waiting: (() => void)[] = [];
  const wait = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const append = (): Promise<Member> => wait().then(() => MEMBER);
  const sink: Pick<ManifestSink, 'append' | 'carry'> = { append, carry: wait };
  return { sink: sink as ManifestSink, waiting };
}

let blocksMade = 0;

/** Each comes after the one made before it. */
function carried(flags = 0, bytes = MEMBER_BYTES): CarriedBlock {
  const path = `/path ${String(blocksMade++).padStart(6, '0')}` as BytePath;
  const records = new BlockRecords();
  records.add(path, 5, flags, Buffer.alloc(PACKED_STAT_SIZE), 0, undefined, 0, 0);
  const payload = Buffer.from(
    Uint8Array.from(records.payload(5, { length: bytes.length, hash: memberHash(bytes) })).buffer,
  );
  const block = new EntryBlock(OwnMemory.of(payload), FRAME, 0);
  block.open(OwnMemory.of(Buffer.from(bytes)));
  return { block, conditions: [], entryAt: () => entry() };
}

/** One that comes before all blocks. */
function entry(path = '/a', line = 'line\n', flags = 0): OutputEntry {
  return {
    path: path as BytePath,
    line: Buffer.from(line),
    flags,
    stat: Buffer.alloc(PACKED_STAT_SIZE),
    statAt: 0,
    sha: undefined,
    shaAt: 0,
    tag: 0,
  };
}

function outputTo(sink: ManifestSink) {
  const waits: boolean[] = [];
  const catalog = new EntryBlockWriter(join(temporaryFolder(), 'entries'));
  let counted = 0;
  const doubtful: string[] = [];
  const output = new EntryOutput(
    sink,
    catalog,
    () => counted++,
    (waiting) => waits.push(waiting),
    1,
    0,
    (path, line) => doubtful.push(`${path} ${line}`),
  );
  return { output, waits, doubtful, counted: () => counted };
}

/** Tells the sink to be done with all it is given, until nothing more comes. */
async function finishAll(waiting: (() => void)[], done: Promise<unknown>): Promise<void> {
  const state = { over: false };
  void done.then(() => {
    state.over = true;
  });
  while (!state.over) {
    for (const finish of waiting.splice(0)) finish();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** More than may wait. */
const MANY = 5000;

describe('EntryOutput', () => {
  it('has no room for more carried blocks than memory is meant for, and waits without calling for bundles', async () => {
    const { sink, waiting } = slowSink();
    const { output, waits, counted } = outputTo(sink);
    let blocks = 0;
    while (output.hasRoom && blocks < MANY) {
      output.carry(carried());
      blocks++;
    }
    expect(blocks).toBeLessThan(MANY);
    const room = output.room();
    await finishAll(waiting, room);
    expect(output.hasRoom).toBe(true);
    expect(waits).toEqual([]);
    await finishAll(waiting, output.finish());
    expect(counted()).toBe(blocks);
  });

  it('calls for bundles where carried blocks wait behind an entry that may wait for one', async () => {
    const { sink, waiting } = slowSink();
    const { output, waits } = outputTo(sink);
    let stored: (made: OutputEntry) => void = () => undefined;
    output.add([new Promise<OutputEntry>((resolve) => (stored = resolve))], [undefined]);
    while (output.hasRoom) output.carry(carried());
    const room = output.room();
    expect(waits).toEqual([true]);
    stored(entry());
    await finishAll(waiting, room);
    expect(waits).toEqual([true, false]);
  });

  it('tells of each entry that carries warnings, whether it was read or is kept in a block or by itself', async () => {
    const { sink, waiting } = slowSink();
    const { output, doubtful } = outputTo(sink);
    const members = gzipSync('kept\n');
    output.add([entry(), entry('/b', 'line\n', DOUBTFUL)], [undefined, undefined]);
    output.carry(carried());
    output.carry(carried(DOUBTFUL, members));
    output.carry({
      ...carried(DOUBTFUL, members),
      conditions: [{ index: 0, kept: Promise.resolve(false) }],
      entryAt: () => entry('/z', 'line\n', DOUBTFUL),
    });
    await finishAll(waiting, output.finish());
    expect(doubtful).toEqual(['/b line\n', expect.stringMatching(/^\/path \d+ kept\n$/), '/z line\n']);
  });

  it('passes on what a block failed with, instead of waiting for ever', async () => {
    const sink = {
      carry: () => Promise.reject(new Error('the disk is full')),
      append: () => Promise.reject(new Error('the disk is full')),
    };
    const { output } = outputTo(sink as unknown as ManifestSink);
    while (output.hasRoom) output.carry(carried());
    await expect(output.room().then(() => output.finish())).rejects.toThrow('the disk is full');
  });

  it('refuses a path that comes out of order or twice, which every reader would refuse with all others', async () => {
    for (const paths of [
      ['/b', '/a'],
      ['/a', '/a'],
    ]) {
      const { sink, waiting } = slowSink();
      const { output } = outputTo(sink);
      for (const path of paths) output.add([entry(path)], [undefined]);
      const done = output.finish();
      done.catch(() => undefined);
      await finishAll(
        waiting,
        done.catch(() => undefined),
      );
      await expect(done).rejects.toMatchObject({
        code: 'SYSTEM',
        message: expect.stringContaining('/a after'),
      });
    }
  });

  it('puts few long lines into a block, so that neither memory nor a number of 32 bits runs out', async () => {
    const lengths: number[] = [];
    const append = async (lines: OwnMemory): Promise<Member> => {
      lengths.push(lines.view.length);
      return MEMBER;
    };
    const { output } = outputTo({ append } as unknown as ManifestSink);
    const long = 'x'.repeat(6 << 20);
    const entries = ['/a', '/b', '/c', '/d', '/e'].map((path) => entry(path, long));
    output.add([...entries, entry('/f', 'x'.repeat(30 << 20)), entry('/g', 'short\n')], []);
    await output.finish();
    expect(lengths).toEqual([12 << 20, 12 << 20, 6 << 20, 30 << 20, 6]);
  });
});
