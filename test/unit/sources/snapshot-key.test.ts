import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { snapshotKeySegment } from '#src/sources/snapshot-key.js';

it('leaves usual names alone', () => {
  expect(snapshotKeySegment('10-db_main.v2')).toBe('10-db_main.v2');
});

it('is safe in a key and can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
      const segment = snapshotKeySegment(name);
      expect(segment).toMatch(/^([A-Za-z0-9._-]|%[0-9A-F]{2})+$/);
      expect(decodeURIComponent(segment)).toBe(name);
    }),
  );
});
