import { chmodSync, chownSync, closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type AclEntry, encodeAcl } from '#src/files/acl.js';
import { applyMetadata } from '#src/files/apply.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { describe, type FileMetadata } from '#src/files/entry.js';
import { OwnerIds, OwnerNames } from '#src/files/owners.js';
import { ownersIn, wantedOf } from '#src/files/recorded.js';
import { SafeDir } from '#src/files/safe-dir.js';
import { lstat } from '#src/files/stat.js';
import { canCompareAcls, hasTrustedXattrs, isRoot, output, scratchFolder, set } from './scratch.js';

const folder = scratchFolder();
const names = new OwnerNames();
const ids = new OwnerIds();

async function described(path: BytePath): Promise<FileMetadata> {
  const stat = lstat(path);
  if (typeof stat === 'string') throw new Error(stat);
  for (;;) {
    const description = describe(path, stat, names);
    if (description.is === 'failed') throw new Error(description.errno);
    if (description.is === 'described') return description.metadata;
    await names.resolve(description.uids, description.gids);
  }
}

const permissions = fc.integer({ min: 0, max: 7 });
const someAcl = fc
  .tuple(permissions, permissions, permissions, permissions, fc.constantFrom(1, 2, 4_000_000_000))
  .map(([owner, named, mask, other, id]): AclEntry[] => [
    { tag: 'user-obj', permissions: owner },
    { tag: 'user', id, permissions: named },
    { tag: 'group-obj', permissions: named },
    { tag: 'group', id, permissions: other },
    { tag: 'mask', permissions: mask },
    { tag: 'other', permissions: other },
  ]);
const someFile = fc.record({
  isFolder: fc.boolean(),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1, 65534, 4_000_000_000),
  gid: fc.constantFrom(0, 5, 4_000_000_001),
  acl: fc.option(someAcl),
  defaultAcl: fc.option(someAcl),
  xattr: fc.option(fc.constantFrom('user.a', 'trusted.b', 'user.\xff')),
});

it.skipIf(!isRoot || !canCompareAcls || !hasTrustedXattrs)(
  'what was described comes back the same, by our eyes and getfacl’s (needs root, getfacl, a file system with ACLs)',
  async () => {
    const target = SafeDir.openTarget(pathFromText(folder));
    if (typeof target === 'string') throw new Error(target);
    let made = 0;
    await fc.assert(
      fc.asyncProperty(someFile, async ({ isFolder, mode, uid, gid, acl, defaultAcl, xattr }) => {
        const source = pathFromText(join(folder, `source${++made}`));
        if (isFolder) mkdirSync(source);
        else writeFileSync(source, '');
        chownSync(source, uid, gid);
        // The attribute's name is bytes; these are the characters of them.
        if (xattr !== null) set(source, xattr, 'value');
        if (acl) set(source, 'system.posix_acl_access', encodeAcl(acl));
        if (defaultAcl && isFolder) set(source, 'system.posix_acl_default', encodeAcl(defaultAcl));
        chmodSync(source, mode);

        const metadata = await described(source);
        const recorded: FileMetadata = JSON.parse(JSON.stringify(metadata));
        const { users, groups } = ownersIn(recorded);
        await ids.resolve(users, groups);
        const { wanted, problems } = wantedOf(recorded, ids);
        expect(problems).toEqual([]);

        const copy = pathFromText(`copy${made}`);
        if (isFolder) target.makeFolder(copy);
        else {
          const file = target.createFile(copy);
          if (typeof file !== 'string') closeSync(file.fd);
        }
        const handle = target.handle(copy);
        if (typeof handle === 'string') throw new Error(handle);
        expect(applyMetadata(handle, wanted)).toEqual([]);
        handle.close();
        const at = pathFromText(join(folder, copy));
        expect(await described(at)).toEqual(metadata);
        expect(output('getfacl', '-cEn', at)).toBe(output('getfacl', '-cEn', source));
      }),
      { numRuns: 40 },
    );
    target.close();
  },
);
