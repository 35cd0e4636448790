import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AclEntry, decodeAcl, encodeAcl } from '#src/files/acl.js';
import { applyMetadata, type MetadataFailure, type WantedMetadata } from '#src/files/apply.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { type InodeHandle, OpenFileHandle, PathHandle } from '#src/files/handle.js';
import { AT_FDCWD } from '#src/files/native.js';
import { FileStat, lstat } from '#src/files/stat.js';
import { readXattrs, type Xattrs } from '#src/files/xattr.js';
import {
  asNobody,
  AWKWARD_NAMES,
  canCompareAcls,
  hasAcls,
  hasCapabilities,
  hasTrustedXattrs,
  hasUserXattrs,
  isRoot,
  nul,
  output,
  scratchFolder,
  set,
} from './scratch.js';

const folder = scratchFolder();
chmodSync(folder, 0o711);
const NOBODY = 65534;
let made = 0;

function newFile(mode = 0o600): string {
  const path = join(folder, `file${++made}`);
  writeFileSync(path, 'content');
  chmodSync(path, mode);
  return path;
}
function newFolder(mode = 0o700): string {
  const path = join(folder, `folder${++made}`);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}
function byPath(path: string, wanted: WantedMetadata): MetadataFailure[] {
  const handle = PathHandle.open(AT_FDCWD, nul(pathFromText(path)));
  if (typeof handle === 'string') throw new Error(handle);
  try {
    return applyMetadata(handle, wanted);
  } finally {
    handle.close();
  }
}
function byDescriptor(path: string, wanted: WantedMetadata): MetadataFailure[] {
  const fd = openSync(path, 'r+');
  try {
    return applyMetadata(new OpenFileHandle(fd), wanted);
  } finally {
    closeSync(fd);
  }
}
function attributesOf(path: string): Xattrs {
  const found = readXattrs(pathFromText(path));
  if (typeof found === 'string') throw new Error(found);
  return found;
}
const modeOf = (path: string) => statSync(path).mode & 0o7777;
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

const SHARED: AclEntry[] = [
  { tag: 'user-obj', permissions: 6 },
  { tag: 'user', id: 1, permissions: 6 },
  { tag: 'group-obj', permissions: 4 },
  { tag: 'mask', permissions: 6 },
  { tag: 'other', permissions: 0 },
];

describe.each([
  ['an open file', byDescriptor],
  ['a name', byPath],
] as const)('setting the metadata of %s', (_, apply) => {
  it('sets modes and times exactly', () => {
    const time = fc.bigInt({ min: -1_000_000_000_000_000_000n, max: 4_000_000_000_000_000_000n });
    const path = newFile();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0o7777 }), time, (mode, mtimeNs) => {
        // A name needs no permission on the file; opening it does.
        chmodSync(path, 0o600);
        expect(apply(path, { ...me, mode, mtimeNs })).toEqual([]);
        const stat = lstat(pathFromText(path));
        expect(typeof stat === 'string' ? stat : [stat.mode, stat.mtimeNs]).toEqual([mode, mtimeNs]);
      }),
      { numRuns: 30 },
    );
  });

  it('leaves the time of reading alone', () => {
    const path = newFile();
    const before = statSync(path, { bigint: true }).atimeNs;
    expect(apply(path, { mtimeNs: 1n })).toEqual([]);
    expect(statSync(path, { bigint: true }).atimeNs).toBe(before);
  });

  it.skipIf(!isRoot)('keeps setuid and setgid through the change of owner (needs root)', () => {
    for (const mode of [0o4755, 0o2755, 0o6711]) {
      const path = newFile();
      expect(apply(path, { uid: 12, gid: 34, mode })).toEqual([]);
      const { uid, gid } = statSync(path);
      expect([uid, gid, modeOf(path)]).toEqual([12, 34, mode]);
    }
  });

  it.skipIf(!hasUserXattrs)('brings attributes to what they were (needs user.*)', () => {
    const path = newFile();
    set(path, 'user.old', 'goes');
    set(path, 'user.both', 'changes');
    const odd = `\0${Buffer.from('user.\xff', 'latin1').toString('base64')}`;
    const xattr = {
      'user.both': 'bmV3',
      'user.long': Buffer.alloc(1500, 1).toString('base64'),
      [odd]: '',
      'user.none': '',
    };
    expect(apply(path, { xattr, mode: 0o400 })).toEqual([]);
    expect(attributesOf(path)).toEqual({ xattr });
  });

  it.skipIf(!hasAcls)('sets an ACL, and takes an inherited one away (needs a file system with ACLs)', () => {
    const parent = newFolder();
    expect(byPath(parent, { defaultAcl: encodeAcl(SHARED) })).toEqual([]);
    const path = join(parent, 'heir');
    writeFileSync(path, '', { mode: 0o600 });
    expect(attributesOf(path).acl).toBeDefined();
    expect(apply(path, { mode: 0o640 })).toEqual([]);
    expect([attributesOf(path), modeOf(path)]).toEqual([{}, 0o640]);

    expect(apply(path, { acl: encodeAcl(SHARED), mode: 0o660 })).toEqual([]);
    expect(decodeAcl(attributesOf(path).acl ?? Buffer.alloc(0))).toEqual(SHARED);
    expect(modeOf(path)).toBe(0o660);
  });

  it.skipIf(!hasCapabilities || output('setcap', '-h') === undefined)(
    'brings capabilities back after the owner (needs root and setcap)',
    () => {
      const source = newFile(0o755);
      expect(output('setcap', 'cap_net_raw,cap_chown=ep', source)).toBeDefined();
      const xattr = attributesOf(source).xattr ?? {};
      expect(Object.keys(xattr)).toEqual(['security.capability']);
      const path = newFile();
      expect(apply(path, { uid: 12, gid: 12, mode: 0o755, xattr })).toEqual([]);
      expect(output('getcap', path)?.replace(path, '')).toBe(output('getcap', source)?.replace(source, ''));
      // And they go where the backup has none.
      expect(apply(path, { ...me, mode: 0o755 })).toEqual([]);
      expect(attributesOf(path)).toEqual({});
    },
  );

  it('reports what is no attribute’s name, or another layer’s, and sets the rest', () => {
    const xattr = { 'system.nfs4_acl': '', 'user.a\0b': '' };
    const path = newFile();
    expect(apply(path, { xattr, mtimeNs: 7n })).toEqual(
      Object.keys(xattr).map((name) => ({ what: 'xattr', name, errno: 'EINVAL' })),
    );
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(7n);
  });

  it('reports a time that cannot be', () => {
    expect(apply(newFile(), { mtimeNs: 10n ** 40n })).toEqual([{ what: 'times', errno: 'EINVAL' }]);
  });

  it('leaves setuid off where the owner is not given', () => {
    const path = newFile();
    expect(apply(path, { mode: 0o4755, gid: me.gid })).toEqual([{ what: 'mode', errno: 'EPERM' }]);
    expect(modeOf(path)).toBe(0o755);
  });
});

describe('a time that the file system has no room for', () => {
  const SECOND = 1_000_000_000n;
  const handleWith = (stat: () => FileStat) =>
    ({ setTimes: () => undefined, listXattrs: () => 0, stat }) as unknown as InodeHandle;

  /** What is reported where a file is given one time and then has another. */
  const reported = (wanted: bigint, then: bigint): MetadataFailure[] => {
    const bytes = Buffer.alloc(72);
    bytes.writeBigInt64LE(then / SECOND, 48);
    return applyMetadata(
      handleWith(() => new FileStat(bytes)),
      { mtimeNs: wanted },
    );
  };

  it('is reported, though the kernel says that all is well', () => {
    const failure = [{ what: 'times', errno: 'this file system has no room for it' }];
    expect(reported(10n ** 12n * SECOND, 15_032_385_535n * SECOND)).toEqual(failure);
    expect(reported(-(2n ** 40n) * SECOND, -(2n ** 31n) * SECOND)).toEqual(failure);
    expect(reported(10n ** 12n * SECOND, 10n ** 12n * SECOND)).toEqual([]);
  });

  it('is not asked after where every file system has room', () => {
    const handle = handleWith(() => expect.fail('a system call more'));
    for (const second of [0n, 1_700_000_000n, 2n ** 31n - 1n])
      expect(applyMetadata(handle, { mtimeNs: second * SECOND })).toEqual([]);
  });
});

describe('the order', () => {
  it('is owner, attributes and ACL, mode, time', () => {
    const calls: string[] = [];
    const say = (call: string) => {
      calls.push(call);
      return undefined;
    };
    const handle: InodeHandle = {
      stat: () => 'ENOSYS',
      chown: () => say('chown'),
      chmod: () => say('chmod'),
      listXattrs: () => 0,
      getXattr: () => 'ENODATA',
      setXattr: (name) => say(Buffer.from(name.subarray(0, -1)).toString()),
      removeXattr: () => undefined,
      setTimes: () => say('times'),
    };
    const wanted = {
      ...me,
      mode: 0o4755,
      mtimeNs: 1n,
      acl: encodeAcl(SHARED),
      xattr: { 'security.capability': 'AA==' },
    };
    expect(applyMetadata(handle, wanted)).toEqual([]);
    expect(calls).toEqual(['chown', 'security.capability', 'system.posix_acl_access', 'chmod', 'times']);
  });

  it('goes on to the end whatever fails', () => {
    const handle: InodeHandle = {
      stat: () => 'EIO',
      chown: () => 'EROFS',
      chmod: () => 'EROFS',
      listXattrs: () => 'EROFS',
      getXattr: () => 'EROFS',
      setXattr: () => 'EOPNOTSUPP',
      removeXattr: () => 'EROFS',
      setTimes: () => 'EROFS',
    };
    const wanted = { ...me, mode: 0o755, mtimeNs: 1n, acl: encodeAcl(SHARED), xattr: { 'user.a': '' } };
    expect(applyMetadata(handle, wanted)).toEqual([
      { what: 'owner', errno: 'EROFS' },
      { what: 'group', errno: 'EROFS' },
      { what: 'xattr', name: 'user.a', errno: 'EOPNOTSUPP' },
      { what: 'acl', name: 'system.posix_acl_access', errno: 'EOPNOTSUPP' },
      { what: 'mode', errno: 'EROFS' },
      { what: 'times', errno: 'EROFS' },
    ]);
  });
});

describe('a symlink', () => {
  it('gets its own time, and its target keeps its', () => {
    const target = newFile();
    const before = statSync(target, { bigint: true }).mtimeNs;
    const path = `${target}.link`;
    symlinkSync(target, path);
    expect(byPath(path, { ...me, mtimeNs: 1_234_567_891n })).toEqual([]);
    expect(lstatSync(path, { bigint: true }).mtimeNs).toBe(1_234_567_891n);
    expect(statSync(target, { bigint: true }).mtimeNs).toBe(before);
  });

  it.skipIf(!isRoot || !hasTrustedXattrs)(
    'gets its own owner and attributes, and its target keeps its (needs root)',
    () => {
      const target = newFile();
      const path = `${target}.link`;
      symlinkSync(target, path);
      expect(byPath(path, { uid: 12, gid: 34, xattr: { 'trusted.a': 'Yg==' } })).toEqual([]);
      expect([lstatSync(path).uid, lstatSync(path).gid]).toEqual([12, 34]);
      expect(attributesOf(path)).toEqual({ xattr: { 'trusted.a': 'Yg==' } });
      expect([statSync(target).uid, attributesOf(target)]).toEqual([0, {}]);
    },
  );
});

it('works for names of any bytes', () => {
  for (const name of AWKWARD_NAMES) {
    const path = `${pathFromText(folder)}/${name}` as BytePath;
    mkdirSync(Buffer.from(path, 'latin1'));
    const handle = PathHandle.open(AT_FDCWD, nul(path));
    if (typeof handle === 'string') throw new Error(handle);
    expect(applyMetadata(handle, { ...me, mode: 0o1750, mtimeNs: 42n })).toEqual([]);
    handle.close();
    const stat = lstat(path);
    expect(typeof stat === 'string' ? stat : [stat.mode, stat.mtimeNs]).toEqual([0o1750, 42n]);
  }
});

describe.skipIf(!isRoot)('as somebody who is not root (needs root, to become that)', () => {
  const asOwner = (path: string) => chownSync(path, NOBODY, NOBODY);

  it('counts owners that cannot be set, sets the rest, and leaves setuid off', () => {
    const path = newFile();
    asOwner(path);
    expect(asNobody(() => byDescriptor(path, { uid: 0, gid: NOBODY, mode: 0o6755, mtimeNs: 7n }))).toEqual([
      { what: 'owner', errno: 'EPERM' },
      { what: 'mode', errno: 'EPERM' },
    ]);
    expect([modeOf(path), statSync(path, { bigint: true }).mtimeNs]).toEqual([0o2755, 7n]);
  });

  it('keeps its own setuid files', () => {
    const path = newFile();
    asOwner(path);
    expect(asNobody(() => byDescriptor(path, { uid: NOBODY, gid: NOBODY, mode: 0o6755 }))).toEqual([]);
    expect(modeOf(path)).toBe(0o6755);
  });

  it.skipIf(!hasUserXattrs)('sets attributes of what is read-only (needs user.*)', () => {
    const path = newFolder(0o555);
    asOwner(path);
    const wanted = { uid: NOBODY, gid: NOBODY, mode: 0o555, xattr: { 'user.a': 'Yg==' } };
    expect(asNobody(() => byPath(path, wanted))).toEqual([]);
    expect([attributesOf(path), modeOf(path)]).toEqual([{ xattr: wanted.xattr }, 0o555]);
  });

  it('says what it may not do to others’ files', () => {
    const path = newFile(0o644);
    expect(asNobody(() => byPath(path, { mode: 0o600, mtimeNs: 7n }))).toEqual([
      { what: 'mode', errno: 'EPERM' },
      { what: 'times', errno: 'EPERM' },
    ]);
  });
});

describe.skipIf(!canCompareAcls)('beside getfacl (needs it, and a file system with ACLs)', () => {
  it('gives a folder both of its ACLs', () => {
    const source = newFolder();
    const path = newFolder();
    output('setfacl', '-m', 'u:1:rwx,g:5:r-x,d:u:2:rw-,d:o::---', source);
    const { acl, defaultAcl } = attributesOf(source);
    expect(
      byPath(path, { mode: modeOf(source), ...(acl && { acl }), ...(defaultAcl && { defaultAcl }) }),
    ).toEqual([]);
    expect(output('getfacl', '-cEn', path)).toBe(output('getfacl', '-cEn', source));
    expect(output('getfacl', '-cEn', path)).toContain('default:user:2:rw-');
  });
});

it('leaves no descriptor open', () => {
  const path = newFile();
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 50; i++) byPath(path, { mode: 0o600 });
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 25);
});
