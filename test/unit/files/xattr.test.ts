import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BytePath, pathForFs, pathFromText } from '#src/files/byte-path.js';
import { isPlainXattr, readXattrs, xattrKey, xattrNameOfKey } from '#src/files/xattr.js';
import {
  asNobody,
  AWKWARD_NAMES,
  hasTrustedXattrs,
  hasUserXattrs,
  isRoot,
  scratchFolder,
  set,
} from './scratch.js';

const folder = scratchFolder();
let made = 0;
function newFile(): BytePath {
  const path = join(folder, `file${++made}`);
  writeFileSync(path, '');
  return pathFromText(path);
}
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('reading attributes', () => {
  it('finds nothing where there is nothing, and names the errno where there is no file', () => {
    expect(readXattrs(newFile())).toEqual({});
    expect(readXattrs(pathFromText(join(folder, 'missing')))).toBe('ENOENT');
    expect(readXattrs(pathFromText('/proc/self/status'))).toEqual({});
    expect(readXattrs(`/${'a/'.repeat(3000)}` as BytePath)).toBe('ENAMETOOLONG');
  });

  it.skipIf(!hasUserXattrs)('gives values in base64, empty and binary ones too (needs user.*)', () => {
    const path = newFile();
    set(path, 'user.empty', '');
    set(path, 'user.binary', Buffer.from([0, 255, 10]));
    expect(readXattrs(path)).toEqual({ xattr: { 'user.binary': 'AP8K', 'user.empty': '' } });
  });

  it.skipIf(!hasUserXattrs)('reads names and values longer than its first buffers (needs user.*)', () => {
    const path = newFile();
    const expected: Record<string, string> = {};
    for (let i = 0; i < 20; i++) {
      const name = `user.${String(i).padStart(40, '0')}`;
      set(path, name, `value ${i}`);
      expected[name] = base64(`value ${i}`);
    }
    set(path, 'user.long', 'v'.repeat(1500));
    expected['user.long'] = base64('v'.repeat(1500));
    expect(readXattrs(path)).toEqual({ xattr: expected });
    // The order does not hang on the file system, so that a line of a manifest is the same each time.
    expect(Object.keys((readXattrs(path) as { xattr: object }).xattr)).toEqual(Object.keys(expected));
  });

  it.skipIf(!hasUserXattrs)('keeps names that are no UTF-8 (needs user.*)', () => {
    const path = newFile();
    set(path, 'user.\xff\xfe', 'v');
    const key = `\0${Buffer.from('user.\xff\xfe', 'latin1').toString('base64')}`;
    expect(readXattrs(path)).toEqual({ xattr: { [key]: base64('v') } });
  });

  it.skipIf(!hasUserXattrs)('works for paths of any bytes (needs user.*)', () => {
    for (const name of AWKWARD_NAMES) {
      const path = `${pathFromText(folder)}/${name}` as BytePath;
      mkdirSync(pathForFs(path));
      set(path, 'user.name', 'x');
      expect(readXattrs(path)).toEqual({ xattr: { 'user.name': base64('x') } });
    }
  });

  it.skipIf(!hasTrustedXattrs)(
    'reads those of a symlink, not of its target (needs trusted.*, so root)',
    () => {
      const path = newFile();
      set(path, 'trusted.of-target', 'x');
      symlinkSync(path, `${path}.link`);
      expect(readXattrs(`${path}.link` as BytePath)).toEqual({});
      expect(readXattrs(path)).toEqual({ xattr: { 'trusted.of-target': base64('x') } });
    },
  );

  it.skipIf(!isRoot || !hasUserXattrs)(
    'says which it could not read (as root, becoming another user)',
    () => {
      const file = newFile();
      set(file, 'user.secret', 'x');
      chmodSync(folder, 0o711);
      chmodSync(file, 0o600);
      expect(asNobody(() => readXattrs(file))).toEqual({
        unreadable: [{ name: 'user.secret', errno: 'EACCES' }],
      });
    },
  );

  it('tells its own from those of other layers', () => {
    for (const name of [
      'user.a',
      'trusted.b',
      'security.capability',
      'security.selinux',
      'trusted.overlay.opaque',
    ])
      expect([name, isPlainXattr(name)]).toEqual([name, true]);
    for (const name of ['system.posix_acl_access', 'system.nfs4_acl', 'trusted.SGI_ACL_FILE', 'security.evm'])
      expect([name, isPlainXattr(name)]).toEqual([name, false]);
  });
});

describe("an attribute's key", () => {
  it.each(['user.plain', 'user.Z\xc3\xbcrich', 'user.\xff', 'user.\xc3'])(
    'leads back to the name %j',
    (name) => {
      expect(xattrNameOfKey(xattrKey(name))).toBe(name);
    },
  );

  it.each(['', 'user.a\0b', '\0', `\0${Buffer.from('a\0').toString('base64')}`, `user.${'x'.repeat(300)}`])(
    'that no attribute can have is refused: %j',
    (key) => {
      expect(xattrNameOfKey(key)).toBeUndefined();
    },
  );
});
