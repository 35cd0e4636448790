import { describe, expect, it } from 'vitest';
import { ContentRows } from '#src/archive/content-rows.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import type { BlockRef } from '#src/manifest/types.js';

const block = (letter: string) => ({ sha: Buffer.alloc(32, letter), size: 10 });

describe('the blocks of a file', () => {
  it('have no part in what it is read as anew, when the renewal of one ends only then', async () => {
    const table = new ObjectTable();
    const rowOf = (letter: string) =>
      table.set(block(letter).sha, 0, { version: `version ${letter}`, enc: undefined, until: 0 });
    let renewed = (_row: number) => {};
    const renewal = new Promise<number>((resolve) => {
      renewed = resolve;
    });
    const rows = new ContentRows(
      {
        known: (sha) => (sha[0] === 'a'.charCodeAt(0) ? renewal : undefined),
        ensure: (sha) => ({ accepted: undefined, row: rowOf(String.fromCharCode(sha[0] ?? 0)) }),
        tag: (row) => table.tag(row),
      },
      table,
    );
    const blocks = rows.collect();
    const stored = { bytes: new Uint8Array(1), md5: undefined, enc: undefined };
    const first = blocks.known(block('a'), 0);
    blocks.restart();
    for (const [index, letter] of ['b', 'c', 'c'].entries()) {
      expect(blocks.known(block(letter), index)).toBe(index === 2);
      if (index < 2) blocks.block({ ...block(letter), stored }, index);
    }
    renewed(rowOf('a'));
    expect(await first).toBe(true);
    const { dat } = await blocks.settle();
    expect((dat as BlockRef[]).map(({ ver, n }) => [ver, n])).toEqual([
      ['version b', undefined],
      ['version c', 2],
    ]);
  });
});
