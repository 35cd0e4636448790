import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  type CarriedBlock,
  type EntrySink,
  type PendingEntry,
  readyEntry,
} from '#src/archive/entry-output.js';
import { Join } from '#src/archive/join.js';
import type { PathBatch } from '#src/archive/path-page.js';
import { BlockRecords, EntryBlock, SETTLED } from '#src/catalog/entry-blocks.js';
import type { BytePath } from '#src/files/byte-path.js';
import { PACKED_STAT_SIZE } from '#src/files/stat.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** What the last run knew of a path. */
interface Known {
  version: number;
  settled: boolean;
  /** What `keep` says of it. */
  kept: 'yes' | 'no' | 'later yes' | 'later no';
}

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function statFor(path: string, version: number): Buffer {
  const stat = Buffer.alloc(PACKED_STAT_SIZE, version);
  stat.write(path, 'latin1');
  return stat;
}

/** Blocks of the last catalog, of so many entries each. */
function* blocksOf(known: ReadonlyMap<string, Known>, size: number): Generator<EntryBlock> {
  const paths = [...known.keys()].sort(byBytes);
  for (let start = 0; start < paths.length; start += size) {
    const records = new BlockRecords();
    let lines = '';
    for (const path of paths.slice(start, start + size)) {
      const { version, settled } = known.get(path) as Known;
      lines += `${path} as it was\n`;
      const end = Buffer.byteLength(lines, 'latin1');
      records.add(path as BytePath, end, settled ? SETTLED : 0, statFor(path, version), 0, undefined, 0, 0);
    }
    const member = gzipSync(Buffer.from(lines, 'latin1'));
    const place = { start: 0, length: member.length, hash: randomBytes(16) };
    const payload = records.payload(Buffer.byteLength(lines, 'latin1'), place);
    yield new EntryBlock(Buffer.from(Uint8Array.from(payload).buffer), member);
  }
}

function* batchesOf(picked: ReadonlyMap<string, number>, size: number): Generator<PathBatch> {
  const all = [...picked.keys()].sort(byBytes) as BytePath[];
  for (let start = 0; start < all.length; start += size) {
    const paths = all.slice(start, start + size);
    const words = new Int32Array((paths.length * PACKED_STAT_SIZE) / 4);
    const stats = Buffer.from(words.buffer);
    for (const [index, path] of paths.entries()) {
      statFor(path, picked.get(path) ?? 0).copy(stats, index * PACKED_STAT_SIZE);
    }
    const statAt = Uint32Array.from(paths, (_, index) => index * PACKED_STAT_SIZE);
    yield { paths, stats, words, statAt };
  }
}

/** Collects lines in order; a block is carried only where all of it may be. */
class Lines implements EntrySink {
  readonly hasRoom = true;
  readonly pending: PendingEntry[] = [];
  carriedBlocks = 0;
  readonly #steps: (() => Promise<void>)[] = [];
  readonly lines: string[] = [];

  async room(): Promise<void> {}

  add(entries: readonly PendingEntry[]): void {
    this.#steps.push(async () => {
      for (const entry of entries) {
        const { line } = (await readyEntry(entry)) ?? { line: Buffer.alloc(0) };
        this.lines.push(line.toString('latin1'));
      }
    });
  }

  carry({ block, conditions, entryAt }: CarriedBlock): void {
    this.carriedBlocks++;
    this.#steps.push(async () => {
      const lost = new Set<number>();
      for (const { index, kept } of conditions) if (!(await kept)) lost.add(index);
      for (let index = 0; index < block.count; index++) {
        const { line } = (await readyEntry(entryAt(index, !lost.has(index)))) ?? { line: Buffer.alloc(0) };
        this.lines.push(line.toString('latin1'));
      }
    });
  }

  async finish(): Promise<string[]> {
    for (const step of this.#steps) await step();
    return this.lines;
  }
}

async function join(
  known: ReadonlyMap<string, Known>,
  picked: ReadonlyMap<string, number>,
  blockSize: number,
  batchSize: number,
): Promise<{ lines: string[]; carried: number }> {
  const sink = new Lines();
  const work = new Join(sink, blocksOf(known, blockSize), {
    keep: (block, index) => {
      const { kept } = known.get(block.paths()[index] ?? '') as Known;
      return kept === 'yes' ? true : kept === 'no' ? false : Promise.resolve(kept === 'later yes');
    },
    make: (path, stat, statAt) => ({
      path,
      line: Buffer.from(`${path} made anew\n`, 'latin1'),
      flags: 0,
      stat,
      statAt,
      sha: undefined,
      shaAt: 0,
      tag: 0,
    }),
    damaged: (error) => {
      throw error;
    },
  });
  await work.run(batchesOf(picked, batchSize), async () => undefined);
  return { lines: await sink.finish(), carried: sink.carriedBlocks };
}

function expected(known: ReadonlyMap<string, Known>, picked: ReadonlyMap<string, number>): string[] {
  return [...picked.keys()].sort(byBytes).map((path) => {
    const was = known.get(path);
    const same =
      was !== undefined && was.settled && was.version === picked.get(path) && was.kept.endsWith('yes');
    return `${path} ${same ? 'as it was' : 'made anew'}\n`;
  });
}

const path = fc
  .array(fc.constantFrom('a', 'b', 'a-b', 'a.b', '\xe4'), { minLength: 1, maxLength: 3 })
  .map((parts) => `/${parts.join('/')}`);
const known = fc.record({
  version: fc.nat(1),
  settled: fc.boolean().map((no) => !no),
  kept: fc.constantFrom(
    'yes' as const,
    'yes' as const,
    'no' as const,
    'later yes' as const,
    'later no' as const,
  ),
});

describe('Join', () => {
  it('gives each picked path once and in order, as it was where nothing speaks against it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, known),
        fc.dictionary(path, fc.nat(1)),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        async (before, now, blockSize, batchSize) => {
          const [was, picked] = [new Map(Object.entries(before)), new Map(Object.entries(now))];
          const { lines } = await join(was, picked, blockSize, batchSize);
          expect(lines).toEqual(expected(was, picked));
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([1, 100, 700, 5000])(
    'carries every block of an unchanged tree over, in batches of %i',
    async (batch) => {
      const names = Array.from({ length: 5000 }, (_, index) => `/tree/${index}`);
      const was = new Map(names.map((name) => [name, { version: 1, settled: true, kept: 'yes' as const }]));
      const { lines, carried } = await join(was, new Map(names.map((name) => [name, 1])), 500, batch);
      expect(carried).toBe(10);
      expect(lines).toEqual([...names].sort(byBytes).map((name) => `${name} as it was\n`));
    },
  );

  it('is not taken in by paths that read the same one after another', async () => {
    const was = new Map(
      ['/a/b', '/c'].map((name) => [name, { version: 1, settled: true, kept: 'yes' as const }]),
    );
    const { lines } = await join(
      was,
      new Map([
        ['/a', 1],
        ['/b/c', 1],
      ]),
      2,
      2,
    );
    expect(lines).toEqual(['/a made anew\n', '/b/c made anew\n']);
  });
});
