import { chmodSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe as group, expect, it } from 'vitest';
import { type BytePath, pathForFs, pathFromText } from '#src/files/byte-path.js';
import { type Description, describe, describeLink } from '#src/files/entry.js';
import { applyMetadata } from '#src/files/apply.js';
import { PathHandle } from '#src/files/handle.js';
import { AT_FDCWD } from '#src/files/native.js';
import { OwnerNames } from '#src/files/owners.js';
import { lstat } from '#src/files/stat.js';
import type { DirectoryEntry, FileEntry, SymlinkEntry } from '#src/manifest/types.js';
import {
  AWKWARD_NAMES,
  canCompareAcls,
  hasTrustedXattrs,
  hasUserXattrs,
  isRoot,
  nul,
  output,
  scratchFolder,
  set,
} from './scratch.js';

const folder = scratchFolder();
const names = { nameOfUser: (uid: number) => `user${uid}`, nameOfGroup: (gid: number) => gid };
let made = 0;

function newFile(mode = 0o644): BytePath {
  const path = join(folder, `file${++made}`);
  writeFileSync(path, 'content');
  chmodSync(path, mode);
  return pathFromText(path);
}
function statOf(path: BytePath) {
  const stat = lstat(path);
  if (typeof stat === 'string') throw new Error(stat);
  return stat;
}
function metadataOf<Metadata>(description: Description<Metadata>): Metadata {
  if (description.is !== 'described') throw new Error(description.is);
  expect(description.unreadable).toBeUndefined();
  return description.metadata;
}

group('a file’s or folder’s metadata', () => {
  it('fits the manifest’s entries', () => {
    const path = newFile(0o4751);
    const stat = statOf(path);
    const metadata = metadataOf(describe(path, stat, names));
    const file: FileEntry = { typ: 'f', path, ...metadata, dat: null, sha: '', size: 0 };
    const directory: DirectoryEntry = { typ: 'd', path, ...metadata };
    expect(file.o).toBe(`user${stat.uid}`);
    expect(directory.g).toBe(stat.gid);
    expect([file.uid, file.gid, file.mode]).toEqual([stat.uid, stat.gid, 0o4751]);
    expect(Object.keys(metadata)).not.toContain('xattr');
    expect(Object.keys(metadata)).not.toContain('acl');
  });

  it('has setuid, setgid and sticky, and the time to the nanosecond', () => {
    for (const mode of [0o4755, 0o2755, 0o1777, 0o7000]) {
      const path = pathFromText(join(folder, `mode${mode}`));
      mkdirSync(path);
      chmodSync(path, mode);
      const handle = PathHandle.open(AT_FDCWD, nul(path));
      if (typeof handle === 'string') throw new Error(handle);
      expect(applyMetadata(handle, { mtimeNs: -1_000_000_001n })).toEqual([]);
      handle.close();
      const metadata = metadataOf(describe(path, statOf(path), names));
      expect([metadata.mode, metadata.mt]).toEqual([mode, '-2.999999999']);
    }
  });

  it.skipIf(!hasUserXattrs)('has its attributes (needs user.*)', () => {
    const path = newFile();
    set(path, 'user.a', 'b');
    expect(metadataOf(describe(path, statOf(path), names)).xattr).toEqual({ 'user.a': 'Yg==' });
  });

  it('asks for the names it lacks', async () => {
    const path = newFile();
    const owners = new OwnerNames({ run: () => Promise.reject(new Error('none')) });
    const stat = statOf(path);
    const first = describe(path, stat, owners);
    expect(first).toEqual({ is: 'unresolved', uids: [stat.uid], gids: [stat.gid] });
    if (first.is === 'unresolved') await owners.resolve(first.uids, first.gids);
    expect(metadataOf(describe(path, stat, owners)).o).toBe(stat.uid);
  });

  it.skipIf(!canCompareAcls)(
    'asks for those in its ACL too (needs setfacl, and a file system with ACLs)',
    async () => {
      const path = pathFromText(join(folder, 'shared'));
      mkdirSync(path);
      output('setfacl', '-m', 'u:1234:rwx,d:g:4321:r-x', path);
      const owners = new OwnerNames({ run: () => Promise.reject(new Error('none')) });
      const stat = statOf(path);
      await owners.resolve([stat.uid], [stat.gid]);
      expect(describe(path, stat, owners)).toEqual({ is: 'unresolved', uids: [1234], gids: [4321] });
      await owners.resolve([1234], [4321]);
      const acl = metadataOf(describe(path, stat, owners)).acl?.split('\n');
      expect(acl).toContain('user:1234:rwx');
      expect(acl).toContain('d:group:4321:r-x');
    },
  );

  it('says what is gone', () => {
    const path = newFile();
    expect(describe(`${path}-gone` as BytePath, statOf(path), names)).toEqual({
      is: 'failed',
      errno: 'ENOENT',
    });
  });

  it.skipIf(!hasTrustedXattrs)(
    'goes without the second form in which XFS shows an ACL (needs trusted.*, so root)',
    () => {
      const path = newFile();
      set(path, 'trusted.SGI_ACL_FILE', 'as XFS shows it');
      expect(metadataOf(describe(path, statOf(path), names)).xattr).toBeUndefined();
    },
  );
});

group('a symlink’s metadata', () => {
  it('has the target, byte for byte, and no mode', () => {
    for (const [at, name] of AWKWARD_NAMES.entries()) {
      const path = pathFromText(join(folder, `link${at}`));
      symlinkSync(pathForFs(name), path);
      lutimesSync(path, 5, 7);
      const metadata = metadataOf(describeLink(path, statOf(path), names));
      const entry: SymlinkEntry = { typ: 'l', path, ...metadata };
      expect(
        entry.tgt64 === undefined
          ? Buffer.from(entry.tgt ?? '').toString('latin1')
          : Buffer.from(entry.tgt64, 'base64').toString('latin1'),
      ).toBe(name);
      expect([entry.tgt === undefined, entry.tgt64 === undefined].toSorted()).toEqual([false, true]);
      expect(entry.mt).toBe('7.000000000');
      expect(Object.keys(entry)).not.toContain('mode');
    }
  });

  it.skipIf(!hasTrustedXattrs || !isRoot)('has its own attributes (needs trusted.*, so root)', () => {
    const path = pathFromText(join(folder, 'labelled'));
    symlinkSync('nowhere', path);
    const handle = PathHandle.open(AT_FDCWD, nul(path));
    if (typeof handle === 'string') throw new Error(handle);
    expect(applyMetadata(handle, { xattr: { 'trusted.mine': 'Yg==' } })).toEqual([]);
    handle.close();
    expect(metadataOf(describeLink(path, statOf(path), names)).xattr).toEqual({ 'trusted.mine': 'Yg==' });
  });

  it('fails where it is no symlink', () => {
    const path = newFile();
    expect(describeLink(path, statOf(path), names)).toEqual({ is: 'failed', errno: 'EINVAL' });
  });
});
