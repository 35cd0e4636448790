import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EntryLines, modeText, shownTime } from '#cli/presentation/entry-lines.js';
import { directory, file, symlink } from '../manifest/build-manifest.js';

it.each([
  [0o755, '-rwxr-xr-x'],
  [0o4755, '-rwsr-xr-x'],
  [0o4644, '-rwSr--r--'],
  [0o2711, '-rwx--s--x'],
  [0o2701, '-rwx--S--x'],
  [0o1777, '-rwxrwxrwt'],
  [0o1776, '-rwxrwxrwT'],
  [0, '----------'],
  [0o7777, '-rwsrwsrwt'],
])('the mode %o of a file is %s', (mode, text) => {
  expect(modeText(file('/f', 'x', { mode }))).toBe(text);
});

it('says what is no file, and what has an ACL', () => {
  expect(modeText(directory('/d', { mode: 0o2770, acl: 'user::rwx' }))).toBe('drwxrws---+');
  expect(modeText(symlink('/l', 't'))).toBe('lrwxrwxrwx');
});

it('times are those of Date, before 1970 and in the far future too', () => {
  const most = 999_999_999_999;
  fc.assert(
    fc.property(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), (seconds) => {
      const date = new Date(seconds * 1000).toISOString();
      expect(shownTime(`${seconds}.999999999`)).toBe(date.slice(0, 19).replace('T', ' '));
    }),
  );
  for (const seconds of [most, -most]) expect(shownTime(`${seconds}.000000000`)).toMatch(/ \d\d:\d\d:\d\d$/);
});

it('columns grow with what comes, and stay', () => {
  const lines = new EntryLines();
  const shown = [
    file('/a', 'x'),
    file('/b', 'x', { o: 'a-long-user-name', size: 12_345_678_901_234 }),
    file('/c', 'x'),
  ].map((entry) => lines.of(entry));
  const at = shown.map((line) => line.indexOf('/'));
  expect(at[1]).toBeGreaterThan(at[0] ?? 0);
  expect(at[2]).toBe(at[1]);
});

it('names cannot move the cursor or pretend to be two lines', () => {
  const line = new EntryLines().of(symlink('/a\u001b[2J\nb\u202e', '\rc', { o: 'x\u0007', g: '\u009b1m' }));
  expect(line).toContain(String.raw`/a\x1b[2J\x0ab\u{202e} -> \x0dc`);
  expect(line).toContain(String.raw`x\x07`);
  expect(line).toContain(String.raw`\x9b1m`);
});
