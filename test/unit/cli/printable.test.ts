import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { printable } from '#cli/presentation/printable.js';
import { formatTable } from '#cli/presentation/table.js';

it('nothing that moves a cursor, breaks a line or reorders text comes through', () => {
  const hostile = '\x1b]0;title\x07 \x9b2J \u202egnp.exe \u2028 \r\n \x00';
  expect(printable(hostile)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u202e]/);
    }),
  );
});

it('ordinary text of any script stays as it is', () => {
  for (const text of ['/etc/fstab', 'Größe — 大小', '👩‍💻 tab\there']) expect(printable(text)).toBe(text);
});

it('a name with a newline cannot make a second row in a table', () => {
  const lines = formatTable(
    [{ title: 'NAME' }, { title: 'N', align: 'right' }],
    [
      ['a\nroot', '1'],
      ['b', '1000'],
    ],
  );
  expect(lines).toHaveLength(3);
  expect(lines[1]?.length).toBe(lines[2]?.length);
  expect(lines[1]).toMatch(/ {4}1$/);
});
