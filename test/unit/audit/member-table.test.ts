import { MemberTable, type NamedMember } from '#src/audit/member-table.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const member: fc.Arbitrary<NamedMember> = fc.record({
  // Few values: the same ones coming again are what is worth testing.
  off: fc.nat(5).map((place) => place * 512),
  len: fc.nat(2),
  enc: fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const),
  size: fc.nat(2),
  sha: fc.constantFrom(undefined, Buffer.alloc(32, 1), Buffer.alloc(32, 2)),
});

const text = ({ off, len, enc, size, sha }: NamedMember) =>
  JSON.stringify([off, len, enc ?? null, size, sha?.toString('hex') ?? null]);

describe('MemberTable', () => {
  it('holds each distinct member once, by bundle and place', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), member), { maxLength: 300 }), (added) => {
        const table = new MemberTable();
        const model = new Map<number, Set<string>>();
        for (const [bundle, each] of added) {
          expect(table.add(bundle, each)).toBe(true);
          model.set(bundle, (model.get(bundle) ?? new Set()).add(text(each)));
          // Asked in between, which must not matter.
          if (each.off === 0) [...table.of(bundle)].forEach(text);
        }
        for (let bundle = 0; bundle < 5; bundle++) {
          const found = [...table.of(bundle)];
          expect(found.map(text).sort()).toEqual([...(model.get(bundle) ?? [])].sort());
          const offs = found.map(({ off }) => off);
          expect(offs).toEqual(offs.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  it('refuses numbers that no bundle has', () => {
    const table = new MemberTable();
    const sha = undefined;
    expect(table.add(0, { off: 2 ** 40, len: 1, enc: undefined, size: 1, sha })).toBe(false);
    expect(table.add(0, { off: 512, len: 1, enc: undefined, size: 2 ** 40, sha })).toBe(false);
    expect([...table.of(0)]).toEqual([]);
  });
});
