import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { type EntryBlock, pathsAt } from '#src/catalog/entry-blocks.js';
import { FramesDamaged } from '#src/catalog/frames.js';
import { KnownEntries } from '#src/catalog/known-entries.js';
import { LEADS_TO, NO_ENTRY } from '#src/catalog/print-order.js';
import type { BytePath } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CatalogFiles, inBlocks, writeCatalog } from '../../kit/catalog-files.js';
import { temporaryFolder } from '../../kit/temporary.js';

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

interface Use {
  /** As print-order.ts has it. */
  order?: readonly number[];
  mostKeptBytes?: number | undefined;
}

function using<Result>(
  { entriesPath, manifestPath, membersAt }: CatalogFiles,
  act: (known: KnownEntries) => Result,
  { order = [], mostKeptBytes }: Use = {},
): Result {
  const known = new KnownEntries(
    entriesPath,
    manifestPath,
    membersAt,
    Uint32Array.from(order),
    mostKeptBytes,
  );
  try {
    return act(known);
  } finally {
    known.close();
  }
}

function written(folder: string, blocks: readonly (readonly BytePath[])[]): CatalogFiles {
  return writeCatalog(
    folder,
    blocks.map((paths) => paths.map((path) => ({ path }))),
  );
}

/** The number of each path's entry, asked for in that order; undefined where there is none. */
function findAll(known: KnownEntries, paths: readonly BytePath[]): (number | undefined)[] {
  const packed = PackedPaths.of(paths);
  return paths.map((path, index) => {
    const number = known.find(packed.bytes, packed.start(index), packed.ends[index] ?? 0);
    if (number < 0) return undefined;
    // What stands under the number is the path's own entry, whatever the number.
    expect(known.block?.path(number - (known.block?.first ?? 0))).toBe(path);
    return number;
  });
}

function pathsOf(block: EntryBlock | undefined): BytePath[] | undefined {
  return block && Array.from({ length: block.count }, (_, index) => block.path(index));
}

const name = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '/'), maxLength: 5 }),
  fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 9,
  }),
  fc.constant('long/'.repeat(800)),
);
const path = name.map((rest) => `/${rest}` as BytePath);
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });

const questions = fc.array(
  fc.tuple(fc.nat(), fc.constantFrom('itself', 'itself', 'itself', 'longer', 'shorter', 'other'), path),
  { maxLength: 200 },
);
/** An order that is right in parts, at the most. */
const guesses = fc
  .array(
    fc.oneof(
      fc.nat(70).map((number) => [number]),
      fc.nat(70).map((from) => [from, from + 1, from + 2, from + 3]),
      fc.tuple(fc.nat(70), fc.nat(70)).map(([link, to]) => [(link | LEADS_TO) >>> 0, to]),
      fc.constantFrom([LEADS_TO], [NO_ENTRY], [0xffff_ffff]),
    ),
    { maxLength: 60 },
  )
  .map((pieces) => pieces.flat());

describe('KnownEntries', () => {
  it('finds each entry by its path, in blocks of any size and any order, and no other path', () => {
    const folder = temporaryFolder();
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { maxLength: 60 }),
        sizes,
        questions,
        guesses,
        // None, one or two, many.
        fc.constantFrom(0, 2000, undefined),
        (unsorted, blockSizes, asks, order, mostKeptBytes) => {
          const paths = unsorted.toSorted(byBytes);
          const asked = asks.map(([at, what, other]): BytePath => {
            const one = paths[at % Math.max(1, paths.length)] ?? other;
            if (what === 'itself') return one;
            if (what === 'longer') return `${one}/` as BytePath;
            return what === 'shorter' && one.length > 1 ? (one.slice(0, -1) as BytePath) : other;
          });
          using(
            written(folder, inBlocks(paths, blockSizes)),
            (known) => {
              expect(known.count).toBe(paths.length);
              const numbers = paths.map((_, index) => index);
              const numberOf = new Map(paths.map((each, index) => [each, index]));
              expect(findAll(known, asked)).toEqual(asked.map((each) => numberOf.get(each)));
              expect(findAll(known, paths)).toEqual(numbers);
              expect(findAll(known, paths.toReversed())).toEqual(numbers.toReversed());
              for (const each of asked) expect(known.numberOf(each)).toBe(numberOf.get(each) ?? -1);
              expect(known.damage).toBeUndefined();
            },
            { order, mostKeptBytes },
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('says what a symlink led to where the order knows it, and of nothing else', () => {
    const paths = ['/a', '/b', '/c', '/d', '/e'] as BytePath[];
    const files = written(temporaryFolder(), inBlocks(paths, [2]));
    const order = [3, 1 | LEADS_TO, 4, 0, 2 | LEADS_TO, 1];
    const led = (asked: readonly string[]): (number | undefined)[] =>
      using(
        files,
        (known) =>
          asked.map((each) => {
            findAll(known, [each as BytePath]);
            return known.leadsTo === NO_ENTRY ? undefined : known.leadsTo;
          }),
        { order },
      );
    expect(led(['/d', '/b', '/a', '/c'])).toEqual([undefined, 4, undefined, 1]);
    expect(led(['/b', '/x', '/a', '/c'])).toEqual([4, undefined, undefined, 1]);
    // Passed over; the number behind a symlink's is not taken for a path of its own.
    expect(led(['/e', '/c', '/b'])).toEqual([undefined, 1, undefined]);
  });

  it('gives the blocks up in order, with their numbers and members, and finds what is in them still', () => {
    const folder = temporaryFolder();
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { maxLength: 40 }),
        sizes,
        fc.boolean(),
        (unsorted, blockSizes, asksFirst) => {
          const paths = unsorted.toSorted(byBytes);
          const blocks = inBlocks(paths, blockSizes);
          const files = written(folder, blocks);
          using(files, (known) => {
            if (asksFirst) findAll(known, paths);
            expect(known.blocks).toBe(blocks.length);
            let first = 0;
            for (const [number, block] of blocks.entries()) {
              const taken = known.take(number) ?? expect.fail('no block');
              expect([taken.first, taken.count]).toEqual([first, block.length]);
              first += block.length;
              expect(pathsOf(taken)).toEqual(block);
              known.open(number, taken);
              expect(taken.member.view.equals(files.members[number] ?? Buffer.alloc(0))).toBe(true);
              expect(findAll(known, block)).toEqual(block.map((each) => paths.indexOf(each)));
            }
            expect(known.take(blocks.length)).toBeUndefined();
            expect(known.damage).toBeUndefined();
          });
        },
      ),
    );
  });

  it('takes a block that was given up as one of its own: what became of the first does not show', () => {
    const files = written(temporaryFolder(), [['/a', '/b'] as BytePath[]]);
    using(files, (known) => {
      known.take(0)?.bytes.fill(0xff);
      expect(findAll(known, ['/b' as BytePath])).toEqual([1]);
      expect(pathsOf(known.take(0))).toEqual(['/a', '/b']);
    });
  });

  it('does not give a member of another manifest', () => {
    const files = written(temporaryFolder(), [['/a'], ['/b']] as BytePath[][]);
    const manifest = readFileSync(files.manifestPath);
    const last = files.members[1]?.length ?? 0;
    const outcome = (): boolean[] =>
      using(files, (known) =>
        [0, 1].map((number) => {
          const block = known.take(number) ?? expect.fail('no block');
          try {
            known.open(number, block);
            return block.member.view.length > 0;
          } catch (error) {
            expect(error).toBeInstanceOf(FramesDamaged);
            return false;
          }
        }),
      );
    expect(outcome()).toEqual([true, true]);
    const changed = Buffer.from(manifest);
    changed[manifest.length - last + 3] = 1 ^ (changed[manifest.length - last + 3] ?? 0);
    writeFileSync(files.manifestPath, changed);
    expect(outcome()).toEqual([true, false]);
    writeFileSync(files.manifestPath, manifest.subarray(0, -1));
    expect(outcome()).toEqual([true, false]);
  });

  it('reads blocks again where there are more than are kept at hand', () => {
    const paths = Array.from({ length: 60 }, (_, index) => `/${100 + index}` as BytePath);
    const files = written(temporaryFolder(), inBlocks(paths, [10]));
    const size = files.payloads[0]?.length ?? 0;
    const blockOf = (known: KnownEntries, number: number): EntryBlock | undefined => {
      expect(findAll(known, [paths[number] ?? expect.fail('no such path')])).toEqual([number]);
      return known.block;
    };
    const asked = (mostKeptBytes: number): boolean[] =>
      using(
        files,
        (known) => {
          const first = blockOf(known, 0);
          return [10, 20, 30, 40].map((other) => {
            blockOf(known, other);
            return blockOf(known, 5) === first;
          });
        },
        { mostKeptBytes },
      );
    expect(asked(size * 5)).toEqual([true, true, true, true]);
    // What is asked for again and again stays.
    expect(asked(size * 2)).toEqual([true, true, true, true]);
    expect(asked(size)).toEqual([false, false, false, false]);
  });
});

describe('KnownEntries of a damaged file', () => {
  const PATHS = ['/', '/a', '/a/b', '/a/c', '/b', '/b/c', '/c', '/c/d', '/c/d/e', '/d'] as BytePath[];
  const BLOCKS = inBlocks(PATHS, [3, 2]);
  const NUMBERS = PATHS.map((_, index) => index);

  /** Block and place in it of each entry: what stays where the numbers of all before it are not known. */
  const PLACES = BLOCKS.flatMap((paths, block) => paths.map((_, index) => `${block}/${index}`));

  function findPlaces(known: KnownEntries): (string | undefined)[] {
    return PATHS.map((each) => {
      const [number] = findAll(known, [each]);
      const { block } = known;
      if (number === undefined || block === undefined) return undefined;
      return `${BLOCKS.findIndex(([first]) => first === block.path(0))}/${number - block.first}`;
    });
  }

  function layoutOf(block: number) {
    const count = BLOCKS[block]?.length ?? 0;
    const firstPathAt = pathsAt(count);
    const firstPathEnd = firstPathAt + (BLOCKS[block]?.[0]?.length ?? 0);
    return {
      first: BLOCKS.slice(0, block).flat().length,
      count,
      isFirstPath: (at: number) => at >= firstPathAt && at <= firstPathEnd,
    };
  }

  /** Which blocks can be taken as they were; none is ever another. */
  function takeAll(known: KnownEntries): boolean[] {
    return BLOCKS.map((paths, number) => {
      const taken = pathsOf(known.take(number));
      if (taken !== undefined) expect(paths).toEqual(taken);
      return taken !== undefined;
    });
  }

  it('misses the entries of a block with a damaged byte, and keeps all others', () => {
    const files = written(temporaryFolder(), BLOCKS);
    const whole = readFileSync(files.entriesPath);
    for (const [damaged, { start, length }] of files.payloads.entries()) {
      const { first, count, isFirstPath } = layoutOf(damaged);
      const others = NUMBERS.map((number) =>
        number >= first && number < first + count ? undefined : number,
      );
      // The checksum, and all of the payload.
      for (let at = -16; at < length; at++) {
        const changed = Buffer.from(whole);
        changed[start + at] = (changed[start + at] ?? 0) ^ (1 << (at & 7));
        writeFileSync(files.entriesPath, changed);
        const context = `byte ${at} of block ${damaged}`;
        using(files, (known) => {
          const found = findPlaces(known);
          const taken = takeAll(known);
          expect(known.damage, context).toBeInstanceOf(FramesDamaged);
          const isCount = at >= 0 && at < 4;
          // Of where blocks begin the search goes wrong, and finds less; they are there nonetheless.
          if (isCount || isFirstPath(at))
            for (const [number, place] of found.entries())
              expect([undefined, PLACES[number]]).toContain(place);
          else
            expect(found, context).toEqual(
              others.map((number) => (number === undefined ? undefined : PLACES[number])),
            );
          // Without the number of a block's entries nothing behind it has one.
          if (isCount)
            expect(taken.slice(0, damaged + 1), context).toEqual(
              BLOCKS.slice(0, damaged + 1).map((_, block) => block < damaged),
            );
          else expect(taken, context).toEqual(BLOCKS.map((_, block) => block !== damaged));
        });
      }
    }
  });

  it('with a damaged head of a frame has what is before it, and nothing wrong', () => {
    const files = written(temporaryFolder(), BLOCKS);
    const whole = readFileSync(files.entriesPath);
    for (const [damaged, { start }] of files.payloads.entries()) {
      for (let bit = 0; bit < 64; bit++) {
        const changed = Buffer.from(whole);
        const at = start - 24 + (bit >> 3);
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
        writeFileSync(files.entriesPath, changed);
        using(files, (known) => {
          findAll(known, PATHS);
          const taken = takeAll(known);
          expect(taken.slice(0, damaged + 1)).toEqual(
            BLOCKS.slice(0, damaged + 1).map((_, block) => block < damaged),
          );
          expect(known.damage).toBeInstanceOf(FramesDamaged);
        });
      }
    }
  });

  it('has what is before a cut', () => {
    const files = written(temporaryFolder(), BLOCKS);
    const whole = readFileSync(files.entriesPath);
    for (let length = 0; length < whole.length - 4; length++) {
      writeFileSync(files.entriesPath, whole);
      truncateSync(files.entriesPath, length);
      using(files, (known) => {
        const there = files.payloads.filter((payload) => payload.start + payload.length <= length).length;
        const count = BLOCKS.slice(0, there).flat().length;
        expect([length, findAll(known, PATHS)]).toEqual([
          length,
          NUMBERS.map((number) => (number < count ? number : undefined)),
        ]);
        expect([length, takeAll(known)]).toEqual([length, BLOCKS.map((_, block) => block < there)]);
        expect(known.damage).toBeInstanceOf(FramesDamaged);
      });
    }
  });

  it('with bytes after its end has all entries, and is damaged', () => {
    const files = written(temporaryFolder(), BLOCKS);
    writeFileSync(files.entriesPath, 'x', { flag: 'a' });
    using(files, (known) => {
      expect(findAll(known, PATHS)).toEqual(NUMBERS);
      expect(known.damage).toBeInstanceOf(FramesDamaged);
    });
  });
});
