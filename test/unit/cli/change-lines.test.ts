import { describe, expect, it } from 'vitest';
import { changeLine } from '#cli/presentation/change-lines.js';
import { changedParts } from '#src/audit/changed-parts.js';
import type { FileEntry } from '#src/manifest/types.js';
import { file } from '../manifest/build-manifest.js';

function line(before: Partial<FileEntry>, after: Partial<FileEntry>): string {
  const [old, young] = [file('/f', 'x', before), file('/f', 'x', after)];
  return changeLine({ change: 'changed', before: old, after: young, parts: changedParts(old, young) });
}

describe('a line of diff', () => {
  it('says which lines of an ACL went and came', () => {
    const before = { acl: 'user::rw-\nuser:daemon:rw-\ngroup::r--\nmask::rw-\nother::r--' };
    const after = { acl: 'user::rw-\nuser:daemon:r--\ngroup::r--\nmask::r--\nother::r--' };
    expect(line(before, after)).toBe('~ /f: ACL -user:daemon:rw- -mask::rw- +user:daemon:r-- +mask::r--');
    expect(line({}, { acl: 'd:user::rwx\nd:user:bin:r--\n' })).toBe('~ /f: ACL +d:user::rwx +d:user:bin:r--');
    const many = Array.from({ length: 50 }, (_, index) => `user:u${index}:r--`).join('\n');
    expect(line({}, { acl: many })).toBe('~ /f: ACL');
    expect(line({}, { acl: 'user:\x1b[2J:r--' })).not.toContain('\x1b');
  });

  it('says which attributes went, came, and have another value', () => {
    const before = { xattr: { 'user.a': 'AA==', 'user.b': 'AA==', 'user.same': 'AA==' } };
    const after = { xattr: { 'user.b': 'AQ==', 'user.c': 'AA==', 'user.same': 'AA==' } };
    expect(line(before, after)).toBe('~ /f: attribute -user.a, attribute user.b, attribute +user.c');
  });

  it('says owners with their numbers where the names are the same', () => {
    expect(line({ o: 'alice', uid: 1000 }, { o: 'alice', uid: 1001 })).toBe(
      '~ /f: owner alice (1000) -> alice (1001)',
    );
    expect(line({ g: 'users' }, { g: 'staff' })).toBe('~ /f: group users -> staff');
  });
});
