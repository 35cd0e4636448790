import { readdirSync } from 'node:fs';
import { PickedPaths } from '#src/archive/picked-paths.js';
import { type BytePath, parentOf } from '#src/files/byte-path.js';
import { PACKED_STAT_SIZE } from '#src/files/stat.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

/** A stat that tells which path it belongs to. */
function statFor(path: string): Buffer {
  const stat = Buffer.alloc(PACKED_STAT_SIZE);
  stat.write(path.slice(0, PACKED_STAT_SIZE), 'latin1');
  return stat;
}

function wordsFor(path: string): Int32Array {
  return new Int32Array(Uint8Array.from(statFor(path)).buffer);
}

function collect(picked: PickedPaths): { path: BytePath; stat: string }[] {
  const all = [];
  for (const { paths, stats, statAt } of picked.batches()) {
    for (const [index, path] of paths.entries()) {
      const at = statAt[index] ?? -1;
      all.push({ path, stat: stats.toString('latin1', at, at + PACKED_STAT_SIZE) });
    }
  }
  return all;
}

const path = fc
  .array(
    fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 6,
    }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((parts) => `/${parts.join('/')}` as BytePath);

describe('PickedPaths', () => {
  it.each([4, 7, 1000])('gives paths in byte order, each once, with pages of %i', (page) => {
    const folder = temporaryFolder();
    fc.assert(
      fc.property(fc.array(path, { maxLength: 60 }), (paths) => {
        const picked = new PickedPaths(folder, page);
        for (const each of paths) picked.add(parentOf(each), each, wordsFor(each), 0);
        const got = collect(picked);
        const expected = [...new Set(paths)].sort((a, b) =>
          Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
        );
        expect(got.map((each) => each.path)).toEqual(expected);
        for (const each of got) expect(each.stat).toBe(statFor(each.path).toString('latin1'));
        expect(readdirSync(folder)).toEqual([]);
      }),
    );
  });
});
