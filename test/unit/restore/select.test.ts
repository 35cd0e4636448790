import { describe, expect, it } from 'vitest';
import { pathFromBytes, pathFromText } from '#src/files/byte-path.js';
import { PathPatterns } from '#src/restore/path-patterns.js';

const isSelected = (path: string, include: string[], exclude: string[] = []): boolean =>
  new PathPatterns(include, exclude).select(pathFromText(path));

describe('PathPatterns', () => {
  it.each<[string, string, boolean]>([
    ['/etc', '/etc', true],
    ['/etc', '/etc/ssh/sshd_config', true],
    ['/etc', '/etcetera', false],
    ['/etc', '/', false],
    ['/etc/', '/etc/passwd', true],
    ['/', '/', true],
    ['/', '/any/thing', true],
    ['/etc/*.conf', '/etc/a.conf', true],
    ['/etc/*.conf', '/etc/.conf', true],
    ['/etc/*.conf', '/etc/sub/a.conf', false],
    ['/etc/*.conf', '/etc/folder.conf/below', true],
    ['/etc/**/*.conf', '/etc/sub/deep/a.conf', true],
    ['/etc/**/*.conf', '/etc/a.conf', true],
    ['*.conf', '/etc/a.conf', true],
    ['*.conf', '/a.conf', true],
    ['sub/a', '/etc/sub/a', true],
    ['sub/a', '/etc/sub/b', false],
    ['/home/{ann,bob}', '/home/bob/x', true],
    ['/home/{ann,bob}', '/home/eve/x', false],
    ['/file?', '/file1', true],
    ['/file[0-9]', '/fileX', false],
    ['/**', '/.hidden/.deep', true],
    ['/a/**', '/a/new\nline/b', true],
    ['/a*', '/a\nb', true],
    ['/ü?', '/üß', true],
    ['!/etc', '/usr', false],
    ['/a\\*b', '/a*b', true],
    ['/a\\*b', '/axb', false],
  ])('%s against %s', (pattern, path, expected) => {
    expect(isSelected(path, [pattern])).toBe(expected);
    expect(isSelected(path, [], [pattern])).toBe(!expected);
  });

  it('takes any of several, and lets an exclusion win', () => {
    expect(isSelected('/b/x', ['/a', '/b'], ['/c'])).toBe(true);
    expect(isSelected('/a/x/y', ['/a'], ['/a/x'])).toBe(false);
    expect(isSelected('/a/x/y', ['/a/x/y'], ['/a/x'])).toBe(false);
    expect(isSelected('/anything', [])).toBe(true);
  });

  it('matches names that are no UTF-8 byte by byte', () => {
    const path = pathFromBytes(Buffer.from([0x2f, 0x61, 0xff, 0x2e, 0x63]));
    expect(new PathPatterns(['/a*.c']).select(path)).toBe(true);
    expect(new PathPatterns(['/a?.c']).select(path)).toBe(true);
    expect(new PathPatterns(['/b*.c']).select(path)).toBe(false);
  });

  it('refuses an empty pattern', () => expect(() => new PathPatterns([''])).toThrow(/empty/));
});
