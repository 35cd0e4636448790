import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import { type AclEntry, decodeAcl, encodeAcl, modeOfAcl } from '#src/files/acl.js';
import { bindAcl, formatAcl, namesInAcl, parseAcl } from '#src/files/acl-text.js';
import { pathFromText } from '#src/files/byte-path.js';
import { readXattrs } from '#src/files/xattr.js';
import { canCompareAcls, output, scratchFolder } from './scratch.js';

const numbers = { user: (id: number) => id, group: (id: number) => id };
const byNumber = { user: () => undefined, group: () => undefined };

const permissions = fc.integer({ min: 0, max: 7 });
const ids = fc.uniqueArray(fc.integer({ min: 0, max: 0xfffffffe }), { maxLength: 5 });
/** Any that the kernel would take. */
const anyAcl = fc
  .tuple(
    fc.array(permissions, { minLength: 4, maxLength: 4 }),
    ids,
    ids,
    fc.array(permissions, { minLength: 10, maxLength: 10 }),
  )
  .map(([four, users, groups, named]) => {
    const [owner = 0, group = 0, mask = 0, other = 0] = four;
    const ascending = (list: number[]) => list.toSorted((a, b) => a - b);
    const entries: AclEntry[] = [{ tag: 'user-obj', permissions: owner }];
    ascending(users).forEach((id, at) => entries.push({ tag: 'user', id, permissions: named[at] ?? 0 }));
    entries.push({ tag: 'group-obj', permissions: group });
    ascending(groups).forEach((id, at) =>
      entries.push({ tag: 'group', id, permissions: named[at + 5] ?? 0 }),
    );
    entries.push({ tag: 'mask', permissions: mask }, { tag: 'other', permissions: other });
    return entries;
  });

describe('a binary ACL', () => {
  it('is the same after decoding and encoding, in any order', () => {
    fc.assert(
      fc.property(anyAcl, (entries) => {
        expect(decodeAcl(encodeAcl(entries.toReversed()))).toEqual(entries);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['another version', '03000000'],
    ['half an entry', '0200000001000600'],
    ['an unknown tag', '0200000040000600ffffffff'],
  ])('is none with %s', (_, hex) => {
    expect(decodeAcl(Buffer.from(hex, 'hex'))).toBeUndefined();
  });
});

describe('ACL text', () => {
  it('comes back with its ids', () => {
    fc.assert(
      fc.property(anyAcl, anyAcl, (access, defaults) => {
        const parsed = parseAcl(formatAcl(access, defaults, numbers) ?? '');
        expect(bindAcl(parsed.access, byNumber)).toEqual({ entries: access, unknown: [] });
        expect(bindAcl(parsed.default, byNumber)).toEqual({ entries: defaults, unknown: [] });
      }),
    );
  });

  it('comes back with its names, whatever characters are in them', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !/^\d+$|\0|\uFFFD/.test(text));
    fc.assert(
      fc.property(name, name, (user, group) => {
        const access: AclEntry[] = [
          { tag: 'user-obj', permissions: 7 },
          { tag: 'user', id: 1, permissions: 5 },
          { tag: 'group-obj', permissions: 0 },
          { tag: 'group', id: 2, permissions: 4 },
          { tag: 'mask', permissions: 5 },
          { tag: 'other', permissions: 0 },
        ];
        const parsed = parseAcl(formatAcl(access, undefined, { user: () => user, group: () => group }) ?? '');
        expect(namesInAcl(parsed)).toEqual({ users: [user], groups: [group] });
        expect(bindAcl(parsed.access, { user: () => 1, group: () => 2 }).entries).toEqual(access);
      }),
    );
  });

  it('is absent where the mode says it all', () => {
    const minimal = decodeAcl(
      encodeAcl([
        { tag: 'user-obj', permissions: 6 },
        { tag: 'group-obj', permissions: 4 },
        { tag: 'other', permissions: 0 },
      ]),
    );
    expect(formatAcl(minimal, undefined, numbers)).toBeUndefined();
    expect(formatAcl(undefined, undefined, numbers)).toBeUndefined();
    // As a default ACL the same three say something.
    expect(formatAcl(undefined, minimal, numbers)).toBe('d:user::rw-\nd:group::r--\nd:other::---');
  });

  it('writes a user whose name is a number by its id', () => {
    const access: AclEntry[] = [{ tag: 'user', id: 5, permissions: 4 }];
    expect(formatAcl(access, undefined, { ...numbers, user: () => '1000' })).toBe('user:5:r--');
  });

  it('of older buckets is understood in all its forms', () => {
    const expected = parseAcl(
      'user::rwx\nuser:alice:rw-\ngroup::r-x\nmask::rwx\nother::---\nd:user::rwx\nd:group::r-x\nd:other::---',
    );
    for (const text of [
      // getfacl -cE
      'user::rwx\nuser:alice:rw-\ngroup::r-x\nmask::rwx\nother::---\ndefault:user::rwx\ndefault:group::r-x\ndefault:other::---\n\n',
      // with the comments that -c leaves out, and the rights that -E leaves out
      '# file: a\n# owner: root\nuser::rwx\nuser:alice:rw-\t\t#effective:r--\ngroup::r-x\nmask::rwx\nother::---\nd:user::rwx\nd:group::r-x\nd:other::---\n',
      // a library's abbreviated form
      'u::rwx,u:alice:rw-,g::r-x,m::rwx,o::---,d:u::rwx,d:g::r-x,d:o::---',
    ])
      expect(parseAcl(text)).toEqual(expected);
    expect(parseAcl('\n \n')).toEqual({ access: [], default: [] });
  });

  it('takes apart names that libacl escaped', () => {
    expect(
      namesInAcl(parseAcl('user::r--\nuser:DOM\\134Jo\\040Doe:r--\ngroup::r--\nmask::r--\nother::---')).users,
    ).toEqual(['DOM\\Jo Doe']);
  });

  it('is given the mask that it lacks', () => {
    const { access } = parseAcl('user::rwx\nuser:7:-w-\ngroup::r--\nother::--x');
    expect(access).toContainEqual({ tag: 'mask', permissions: 6 });
    expect(modeOfAcl(bindAcl(access, byNumber).entries)).toBe(0o761);
  });

  it.each([
    'nonsense',
    'user::rwx',
    'user::rwx\ngroup::rwx\nother::rwx\nother::rwx',
    'user::rwx\ngroup::rwx\nother::rwx\nmask::r--\nmask::r--',
    'user::rwxs\ngroup::r--\nother::r--',
    'user:4294967295:r--\nuser::rwx\ngroup::r--\nother::r--',
    'mask:alice:r--\nuser::rwx\ngroup::r--\nother::r--',
    'd:user::rwx',
  ])('refuses %j as damaged', (text) => {
    expect(() => parseAcl(text)).toThrow(SysbackupError);
  });

  it('names who is unknown, and leaves them out', () => {
    const { access } = parseAcl('user::rwx\nuser:alice:r--\nuser:bob:r--\ngroup::r--\nmask::r--\nother::---');
    const bound = bindAcl(access, {
      user: (name) => (name === 'bob' ? 12 : undefined),
      group: () => undefined,
    });
    expect(bound.unknown).toEqual(['alice']);
    expect(bound.entries.filter(({ tag }) => tag === 'user')).toEqual([
      { tag: 'user', id: 12, permissions: 4 },
    ]);
  });
});

describe.skipIf(!canCompareAcls)(
  'beside getfacl and setfacl (needs both, and a file system with ACLs)',
  () => {
    const folder = scratchFolder();

    const asWeSay = (path: string) => {
      const found = readXattrs(pathFromText(path));
      if (typeof found === 'string') throw new Error(found);
      return formatAcl(
        found.acl && decodeAcl(found.acl),
        found.defaultAcl && decodeAcl(found.defaultAcl),
        numbers,
      );
    };
    /** Numbers for names, and the access entries only where they say more than the mode. */
    const asGetfaclSays = (path: string) =>
      output('getfacl', '-cEns', path)
        ?.trim()
        .replaceAll(/^default:/gm, 'd:') || undefined;

    it('reads the same of files', () => {
      const path = join(folder, 'file');
      writeFileSync(path, '', { mode: 0o640 });
      expect(asWeSay(path)).toBeUndefined();
      output('setfacl', '-m', 'u:1:rw-,u:65534:---,g:5:r-x,g:0:-w-,m::r-x', path);
      expect(asWeSay(path)).toBe(asGetfaclSays(path));
      expect(asWeSay(path)).toContain('user:65534:---');
    });

    it('reads the same of folders with default ACLs', () => {
      const path = join(folder, 'folder');
      mkdirSync(path);
      output('setfacl', '-m', 'u:1:rwx,d:u:2:rw-,d:g:5:r-x', path);
      expect(asWeSay(path)).toBe(asGetfaclSays(path));
    });

    it('has the mode that stat has', () => {
      const path = join(folder, 'mode');
      writeFileSync(path, '');
      output('setfacl', '-m', 'u::rwx,u:1:rw-,g::r--,m::rw-,o::--x', path);
      const found = readXattrs(pathFromText(path));
      const access = typeof found !== 'string' && found.acl ? decodeAcl(found.acl) : undefined;
      expect(modeOfAcl(access ?? [])).toBe(statSync(path).mode & 0o777);
    });
  },
);
