import { EntryNumbers } from '#src/archive/entry-numbers.js';
import { LEADS_TO } from '#src/catalog/print-order.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** An order as words: entries by their numbers, a symlink with the entry it leads to. */
function wordsOf(order: readonly { entry: number; leadsTo?: number | undefined }[]): Uint32Array {
  return Uint32Array.from(
    order.flatMap(({ entry, leadsTo }) => (leadsTo === undefined ? [entry] : [entry | LEADS_TO, leadsTo])),
  );
}

describe('EntryNumbers', () => {
  it('gives an order by new numbers: new entries count, gone ones and links to them fall out', () => {
    fc.assert(
      fc.property(
        // Of each entry of the last catalog whether it stays, and how many new ones come before it.
        fc.array(fc.record({ stays: fc.boolean(), before: fc.nat(3) }), { minLength: 1, maxLength: 40 }),
        fc.array(fc.record({ at: fc.nat(), to: fc.option(fc.nat(), { nil: undefined }) }), { maxLength: 60 }),
        fc.boolean(),
        (entries, printed, inBlocks) => {
          const numbers = new EntryNumbers(entries.length);
          const newOf: (number | undefined)[] = [];
          let next = 0;
          for (const [known, { stays, before }] of entries.entries()) {
            for (let count = 0; count < before; count++, next++) numbers.add(undefined);
            newOf.push(stays ? next : undefined);
            if (!stays) continue;
            if (inBlocks) numbers.addAll(known, 1);
            else numbers.add(known);
            next++;
          }
          const order = printed.map(({ at, to }) => ({
            entry: at % entries.length,
            leadsTo: to === undefined ? undefined : to % entries.length,
          }));
          const expected = order.flatMap(({ entry, leadsTo }) => {
            const number = newOf[entry];
            const target = leadsTo === undefined ? undefined : newOf[leadsTo];
            return number === undefined ? [] : [{ entry: number, leadsTo: target }];
          });
          expect(numbers.renumbered(wordsOf(order))).toEqual(wordsOf(expected));
        },
      ),
    );
  });
});
