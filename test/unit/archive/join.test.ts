import { gzipSync } from 'node:zlib';
import { Bits } from '#src/archive/bits.js';
import {
  type CarriedBlock,
  type EntrySink,
  type PendingEntry,
  readyEntry,
} from '#src/archive/entry-output.js';
import { Join } from '#src/archive/join.js';
import type { PathBatch } from '#src/archive/path-page.js';
import {
  BlockRecords,
  CURRENT,
  DOUBTFUL,
  ENTRY_FRAME,
  EntryBlock,
  SETTLED,
} from '#src/catalog/entry-blocks.js';
import type { FramePlace } from '#src/catalog/frames.js';
import { KnownEntries } from '#src/catalog/known-entries.js';
import type { BytePath } from '#src/files/byte-path.js';
import { FileStat, PACKED_STAT_SIZE } from '#src/files/stat.js';
import { memberHash } from '#src/manifest/member.js';
import { OwnMemory } from '#src/own-memory.js';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { inBlocks, writeCatalog } from '../../kit/catalog-files.js';
import { temporaryFolder } from '../../kit/temporary.js';

/** What the last run knew of a path. */
interface Known {
  version: number;
  settled: boolean;
  /** What `keep` says of it. */
  kept: 'yes' | 'no' | 'later yes' | 'later no';
}

/** Blocks of the last catalog that are damaged, and those whose lines are. */
interface Lost {
  blocks: number[];
  members: number[];
}

const FRAME: FramePlace = { index: 0, type: ENTRY_FRAME, start: 0, length: 0 };

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function statFor(path: string, version: number): Buffer {
  const stat = Buffer.alloc(PACKED_STAT_SIZE, version);
  stat.write(path, 'latin1');
  return stat;
}

/** The last catalog, in blocks of so many entries each; some of them cannot be read any more. */
class LastCatalog {
  readonly #blocks: EntryBlock[] = [];
  readonly #members = new Map<EntryBlock, Buffer>();
  readonly #size: number;
  readonly #lost: Lost;
  /** The number of each path's entry. */
  readonly numbers = new Map<string, number>();
  damage: unknown;

  constructor(known: ReadonlyMap<string, Known>, size: number, lost: Lost = { blocks: [], members: [] }) {
    this.#size = size;
    this.#lost = lost;
    const paths = [...known.keys()].sort(byBytes);
    for (let start = 0; start < paths.length; start += size) {
      const records = new BlockRecords();
      let lines = '';
      for (const [index, path] of paths.slice(start, start + size).entries()) {
        this.numbers.set(path, start + index);
        const { version, settled } = known.get(path) as Known;
        lines += `${path} as it was\n`;
        const end = Buffer.byteLength(lines, 'latin1');
        const flags = CURRENT | (settled ? SETTLED : 0);
        records.add(path as BytePath, end, flags, statFor(path, version), 0, undefined, 0, 0);
      }
      const member = gzipSync(Buffer.from(lines, 'latin1'));
      const place = { length: member.length, hash: memberHash(member) };
      const payload = records.payload(Buffer.byteLength(lines, 'latin1'), place);
      const block = new EntryBlock(OwnMemory.of(Buffer.from(Uint8Array.from(payload).buffer)), FRAME, start);
      this.#blocks.push(block);
      this.#members.set(block, member);
    }
  }

  get blocks(): number {
    return this.#blocks.length;
  }

  range(number: number): { first: number; end: number } {
    return { first: number * this.#size, end: Math.min((number + 1) * this.#size, this.numbers.size) };
  }

  take(number: number): EntryBlock | undefined {
    if (!this.#lost.blocks.includes(number)) return this.#blocks[number];
    this.damage ??= new Error(`block ${number}`);
    return undefined;
  }

  open(number: number, block: EntryBlock): void {
    expect(this.#blocks[number]).toBe(block);
    const member = this.#lost.members.includes(number) ? Buffer.of(1) : this.#members.get(block);
    block.open(OwnMemory.of(member ?? Buffer.of(2)));
  }

  /** What of a path is in a block that is there, or in one that can be carried over. */
  isLost(path: string, what: keyof Lost): boolean {
    const number = this.numbers.get(path);
    return number !== undefined && this.#lost[what].includes(Math.floor(number / this.#size));
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
  readonly flags: number[] = [];
  /** The number that each path is said to have in the last catalog. */
  readonly numbers: [string, number | undefined][] = [];

  async room(): Promise<void> {}

  add(entries: readonly PendingEntry[], numbers: readonly (number | undefined)[]): void {
    expect(numbers).toHaveLength(entries.length);
    this.#steps.push(async () => {
      for (const [index, entry] of entries.entries()) await this.#put(entry, numbers[index]);
    });
  }

  carry({ block, conditions, entryAt }: CarriedBlock): void {
    this.carriedBlocks++;
    this.#steps.push(async () => {
      const lost = new Set<number>();
      for (const { index, kept } of conditions) if (!(await kept)) lost.add(index);
      for (let index = 0; index < block.count; index++) {
        await this.#put(entryAt(index, !lost.has(index)), block.first + index);
      }
    });
  }

  async #put(entry: PendingEntry, number: number | undefined): Promise<void> {
    const { path, line, flags } = (await readyEntry(entry)) ?? expect.fail('an entry that is none');
    this.flags.push(flags);
    this.lines.push(line.toString('latin1'));
    this.numbers.push([path, number]);
  }

  async finish(): Promise<string[]> {
    for (const step of this.#steps) await step();
    return this.lines;
  }
}

/** How a picked path that is as it was comes to the join. */
type Way = 'confirmed' | 'among the others' | 'both';

interface Joined {
  lines: string[];
  carried: number;
  damages: unknown[];
}

async function join(
  known: ReadonlyMap<string, Known>,
  picked: ReadonlyMap<string, number>,
  catalog: LastCatalog,
  batchSize: number,
  wayOf: (path: string) => Way,
): Promise<Joined> {
  const sink = new Lines();
  const damages: unknown[] = [];
  const work = new Join(
    sink,
    {
      keep: (block, index) => {
        const { kept } = known.get(block.path(index)) as Known;
        return kept === 'yes' ? true : kept === 'no' ? false : Promise.resolve(kept === 'later yes');
      },
      make: (path, stat, statAt) => {
        const is = stat.subarray(statAt, statAt + PACKED_STAT_SIZE);
        const isOfPath = is.equals(statFor(path, picked.get(path) ?? 0));
        return {
          path,
          line: Buffer.from(`${path} made anew${isOfPath ? '' : ' with a wrong stat'}\n`, 'latin1'),
          flags: 0,
          stat,
          statAt,
          sha: undefined,
          shaAt: 0,
          tag: 0,
        };
      },
      damaged: (error) => void damages.push(error),
    },
    async () => undefined,
  );
  const confirmed = new Bits(known.size);
  const others = new Map(picked);
  for (const [path, version] of picked) {
    const was = known.get(path);
    // What is confirmed was read from its block.
    if (was === undefined || !was.settled || was.version !== version || catalog.isLost(path, 'blocks'))
      continue;
    const way = wayOf(path);
    if (way !== 'among the others') confirmed.add(catalog.numbers.get(path) ?? -1);
    if (way === 'confirmed') others.delete(path);
  }
  await work.run({ known: catalog, confirmed, others: batchesOf(others, batchSize) });
  const lines = await sink.finish();
  for (const [name, number] of sink.numbers) {
    expect(number).toBe(catalog.isLost(name, 'blocks') ? undefined : catalog.numbers.get(name));
  }
  return { lines, carried: sink.carriedBlocks, damages };
}

function expected(
  known: ReadonlyMap<string, Known>,
  picked: ReadonlyMap<string, number>,
  catalog: LastCatalog,
): string[] {
  return [...picked.keys()].sort(byBytes).map((path) => {
    const was = known.get(path);
    const isThere = !catalog.isLost(path, 'blocks') && !catalog.isLost(path, 'members');
    const same =
      was !== undefined &&
      isThere &&
      was.settled &&
      was.version === picked.get(path) &&
      was.kept.endsWith('yes');
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

const numbers = fc.array(fc.nat(4), { maxLength: 2 });
const ways = fc.array(fc.constantFrom<Way[]>('confirmed', 'confirmed', 'among the others', 'both'), {
  minLength: 1,
  maxLength: 9,
});

function mapsOf<Value>(of: Record<string, Value>): Map<string, Value> {
  return new Map(Object.entries(of));
}

/** The ways by the numbers of the entries, over and over. */
function turnsOf(catalog: LastCatalog, turns: readonly Way[]): (path: string) => Way {
  return (path) => turns[(catalog.numbers.get(path) ?? 0) % turns.length] ?? 'confirmed';
}

function asKnown(names: readonly string[]): Map<string, Known> {
  return new Map(names.map((name) => [name, { version: 1, settled: true, kept: 'yes' }]));
}

describe('Join', () => {
  it('gives each picked path once and in order, as it was where nothing speaks against it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, known),
        fc.dictionary(path, fc.nat(1)),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        ways,
        async (before, now, blockSize, batchSize, turns) => {
          const [was, picked] = [mapsOf(before), mapsOf(now)];
          const catalog = new LastCatalog(was, blockSize);
          const { lines, damages } = await join(was, picked, catalog, batchSize, turnsOf(catalog, turns));
          expect(lines).toEqual(expected(was, picked, catalog));
          expect(damages).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('makes anew what stands in damaged blocks, and says so once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, known, { minKeys: 1 }),
        fc.dictionary(path, fc.nat(1)),
        fc.integer({ min: 1, max: 9 }),
        fc.record({ blocks: numbers, members: numbers }),
        ways,
        async (before, now, blockSize, lost, turns) => {
          const [was, picked] = [mapsOf(before), mapsOf(now)];
          const catalog = new LastCatalog(was, blockSize, lost);
          const { lines, damages } = await join(was, picked, catalog, 4, turnsOf(catalog, turns));
          expect(lines).toEqual(expected(was, picked, catalog));
          const isDamaged = [...lost.blocks, ...lost.members].some((number) => number < catalog.blocks);
          expect(damages).toHaveLength(isDamaged ? 1 : 0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('says that the catalog is damaged where not a block of it is left', async () => {
    const damage = new Error('nothing to be read');
    const catalog = new LastCatalog(new Map(), 1);
    catalog.damage = damage;
    const { lines, damages } = await join(new Map(), new Map([['/a', 1]]), catalog, 1, () => 'confirmed');
    expect(lines).toEqual(['/a made anew\n']);
    expect(damages).toEqual([damage]);
  });

  it('fails where a block with confirmed entries cannot be read again, rather than leave them out', async () => {
    const was = asKnown(['/a', '/b', '/c']);
    const confirmed = new Bits(3);
    for (const number of [0, 1, 2]) confirmed.add(number);
    const known = new LastCatalog(was, 2, { blocks: [1], members: [] });
    const sink = new Lines();
    const make = (): never => expect.fail('nothing is to be made');
    const work = new Join(sink, { keep: () => true, make, damaged: () => undefined }, async () => undefined);
    await expect(work.run({ known, confirmed, others: [] })).rejects.toThrow('block 1');
  });

  it.each([1, 100, 700, 5000])(
    'carries every block of an unchanged tree over, in batches of %i',
    async (batch) => {
      const names = Array.from({ length: 5000 }, (_, index) => `/tree/${index}`);
      const was = asKnown(names);
      const picked = new Map(names.map((name) => [name, 1]));
      for (const way of ['confirmed', 'among the others', 'both'] as const) {
        const { lines, carried } = await join(was, picked, new LastCatalog(was, 500), batch, () => way);
        expect(carried).toBe(10);
        expect(lines).toEqual([...names].sort(byBytes).map((name) => `${name} as it was\n`));
      }
    },
  );

  it('makes the entries of an older catalog as those made now: ids of links, and what is doubtful', async () => {
    const stat = Buffer.alloc(PACKED_STAT_SIZE, 1);
    const line = (typ: string, path: string, more: object = {}) =>
      JSON.stringify({ typ, path, o: 'root', ...more });
    const id = '1:1:1';
    const w = ['unlocked-copy'];
    const lines: [path: string, before: string][] = [
      ['/"id":', line('d', '/"id":')],
      ['/a', line('f', '/a', { size: 1 })],
      ['/b', line('f', '/b', { size: 1, id })],
      ['/c', line('f', '/c', { size: 1, w })],
      ['/d', line('f', '/d', { size: 1, id, w })],
      ['/e', line('l', '/e', { tgt: 'ä', id })],
    ];
    const entries = lines.map(([path, text]) => ({ path: path as BytePath, stat, line: text, older: true }));
    const { entriesPath, manifestPath, membersAt } = writeCatalog(temporaryFolder(), inBlocks(entries, [2]));
    const known = new KnownEntries(entriesPath, manifestPath, membersAt, new Uint32Array(0));
    onTestFinished(() => known.close());
    const confirmed = new Bits(lines.length);
    for (const number of lines.keys()) confirmed.add(number);
    const sink = new Lines();
    const make = (): never => expect.fail('nothing is to be made');
    const work = new Join(sink, { keep: () => true, make, damaged: () => undefined }, async () => undefined);
    await work.run({ known, confirmed, others: [] });
    const { linkId } = new FileStat(stat);
    expect(linkId).not.toBe(id);
    expect((await sink.finish()).map((text) => Buffer.from(text, 'latin1').toString())).toEqual(
      lines.map(([, text]) => `${text.replace(JSON.stringify(id), JSON.stringify(linkId))}\n`),
    );
    expect(sink.carriedBlocks).toBe(0);
    // What was copied without its lock is read again.
    const [kept, doubtful] = [CURRENT | SETTLED, CURRENT | DOUBTFUL];
    expect(sink.flags).toEqual([kept, kept, kept, doubtful, doubtful, kept]);
  });

  it('is not taken in by paths that read the same one after another', async () => {
    const was = asKnown(['/a/b', '/c']);
    const picked = new Map([
      ['/a', 1],
      ['/b/c', 1],
    ]);
    const { lines } = await join(was, picked, new LastCatalog(was, 2), 2, () => 'confirmed');
    expect(lines).toEqual(['/a made anew\n', '/b/c made anew\n']);
  });
});
