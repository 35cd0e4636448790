import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BytePath, pathForFs, pathFromText } from '#src/files/byte-path.js';
import { componentsOf, type DirFailure, hasComponents, openDirBelow, SafeDir } from '#src/files/safe-dir.js';
import { asNobody, AWKWARD_NAMES, isRoot, scratchFolder } from './scratch.js';

const scratch = scratchFolder();
let made = 0;
let base: string;
let target: string;
let outside: string;
let root: SafeDir;
const opened: SafeDir[] = [];

beforeEach(() => {
  base = join(scratch, String(++made));
  target = join(base, 'target');
  outside = join(base, 'outside');
  mkdirSync(target, { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'untouched');
  root = held(SafeDir.openTarget(pathFromText(target)));
});
afterEach(() => {
  // Whatever a test tried: nothing outside was written, and nothing was added.
  expect(readdirSync(outside)).toEqual(['precious']);
  expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('untouched');
  for (const folder of opened.splice(0)) folder.close();
});

function held(folder: SafeDir | string | DirFailure): SafeDir {
  if (!(folder instanceof SafeDir)) throw new Error(JSON.stringify(folder));
  opened.push(folder);
  return folder;
}
const name = (text: string) => text as BytePath;
const chain = (...names: string[]) => names as BytePath[];

function writeNew(folder: SafeDir, fileName: BytePath, content: string): void {
  const file = folder.createTemporary();
  if (typeof file === 'string') throw new Error(file);
  writeSync(file.fd, content);
  closeSync(file.fd);
  expect(folder.rename(file.name, fileName)).toBeUndefined();
}

describe('below a target', () => {
  it('makes folders that nobody else may enter, and goes through those that are there', () => {
    mkdirSync(join(target, 'a'));
    held(openDirBelow(root, chain('a', 'b', 'c'), { create: true }));
    expect(lstatSync(join(target, 'a/b/c')).mode & 0o7777).toBe(0o700);
    held(openDirBelow(root, chain('a', 'b', 'c')));
    expect(openDirBelow(root, chain('a', 'x', 'y'))).toEqual({ errno: 'ENOENT', at: 1 });
    expect(held(openDirBelow(root, [])).stat(name('a'))).toBeTypeOf('object');
  });

  it('writes names of any bytes, files, links and folders', () => {
    for (const odd of AWKWARD_NAMES) {
      const folder = held(root.openFolder(odd, { create: true }));
      writeNew(folder, odd, 'content');
      expect(folder.makeLink(name('link'), odd)).toBeUndefined();
      expect(folder.readLink(name('link'))).toEqual({ target: odd });
      expect(folder.hardLink(odd, root, name(`second${made}`))).toBeUndefined();
      expect(root.remove(name(`second${made}`))).toBeUndefined();
      const at = `${pathFromText(target)}/${odd}/${odd}` as BytePath;
      expect(readFileSync(pathForFs(at), 'utf8')).toBe('content');
    }
    expect(
      readdirSync(target, 'buffer')
        .map((bytes) => bytes.toString('latin1'))
        .toSorted(),
    ).toEqual(AWKWARD_NAMES.toSorted());
  });

  it('puts a file in the place of another, and of a symlink, in one step', () => {
    writeFileSync(join(target, 'file'), 'old');
    symlinkSync(join(outside, 'precious'), join(target, 'link'));
    for (const old of ['file', 'link']) {
      writeNew(root, name(old), 'new');
      expect(lstatSync(join(target, old)).isFile()).toBe(true);
      expect(readFileSync(join(target, old), 'utf8')).toBe('new');
    }
    expect(readdirSync(target)).toEqual(['file', 'link']);
  });

  it('puts a hard link in the place of another file, or of one that is already it', () => {
    writeFileSync(join(target, 'one'), 'content');
    writeFileSync(join(target, 'two'), 'other');
    for (let i = 0; i < 2; i++) {
      expect(root.replaceByHardLink(name('one'), root, name('two'))).toBeUndefined();
      expect(lstatSync(join(target, 'two')).ino).toBe(lstatSync(join(target, 'one')).ino);
    }
    mkdirSync(join(target, 'folder'));
    expect(root.replaceByHardLink(name('one'), root, name('folder'))).toBe('EISDIR');
    expect(root.replaceByHardLink(name('missing'), root, name('two'))).toBe('ENOENT');
    expect(readdirSync(target)).toEqual(['folder', 'one', 'two']);
  });

  it('makes a symlink beside its place', () => {
    const link = root.makeTemporaryLink(name('/where/ever'));
    if (typeof link === 'string') throw new Error(link);
    expect(root.rename(link.name, name('link'))).toBeUndefined();
    expect(readlinkSync(join(target, 'link'))).toBe('/where/ever');
  });

  it('removes files and empty folders', () => {
    writeFileSync(join(target, 'file'), '');
    mkdirSync(join(target, 'folder/deep'), { recursive: true });
    expect(root.remove(name('folder'))).toBe('EISDIR');
    expect(root.removeFolder(name('folder'))).toBe('ENOTEMPTY');
    expect(held(root.openFolder(name('folder'))).removeFolder(name('deep'))).toBeUndefined();
    expect(root.removeFolder(name('folder'))).toBeUndefined();
    expect(root.remove(name('file'))).toBeUndefined();
    expect(readdirSync(target)).toEqual([]);
  });

  it('names what is in the way', () => {
    writeFileSync(join(target, 'file'), '');
    expect(root.openFolder(name('file'))).toBe('ENOTDIR');
    expect(root.createFile(name('file'))).toBe('EEXIST');
    expect(root.makeFolder(name('file'))).toBe('EEXIST');
    expect(root.makeLink(name('file'), name('x'))).toBe('EEXIST');
    expect(SafeDir.openTarget(pathFromText(join(target, 'file')))).toBe('ENOTDIR');
    expect(SafeDir.openTarget(pathFromText(join(target, 'missing')))).toBe('ENOENT');
  });

  it('takes a target that is a symlink, since a person named it', () => {
    symlinkSync(target, join(base, 'chosen'));
    held(
      held(SafeDir.openTarget(pathFromText(join(base, 'chosen')))).openFolder(name('made'), { create: true }),
    );
    expect(existsSync(join(target, 'made'))).toBe(true);
  });

  it.skipIf(!isRoot)(
    'goes through folders that may be entered but not read (needs root, to become somebody else)',
    () => {
      for (const path of [scratch, base, target]) chmodSync(path, 0o711);
      mkdirSync(join(target, 'dark'));
      mkdirSync(join(target, 'dark/inner'));
      chmodSync(join(target, 'dark'), 0o711);
      chownSync(join(target, 'dark/inner'), 65534, 65534);
      held(asNobody(() => openDirBelow(root, chain('dark', 'inner', 'new'), { create: true })));
      expect(existsSync(join(target, 'dark/inner/new'))).toBe(true);
      expect(asNobody(() => root.makeFolder(name('x')))).toBe('EACCES');
    },
  );
});

describe('attacks', () => {
  it('a symlink planted as a folder is not gone through', () => {
    symlinkSync(outside, join(target, 'link'));
    symlinkSync('../outside', join(target, 'relative'));
    symlinkSync('nowhere', join(target, 'dangling'));
    mkdirSync(join(target, 'deep'));
    symlinkSync(outside, join(target, 'deep/link'));
    for (const planted of ['link', 'relative', 'dangling']) {
      expect(root.openFolder(name(planted), { create: true })).toBe('ELOOP');
      expect(openDirBelow(root, chain(planted, 'x'), { create: true })).toEqual({ errno: 'ELOOP', at: 0 });
    }
    expect(openDirBelow(root, chain('deep', 'link', 'x'), { create: true })).toEqual({
      errno: 'ELOOP',
      at: 1,
    });
  });

  it('a symlink planted where a file is made, read or linked is not followed', () => {
    symlinkSync(join(outside, 'new'), join(target, 'dangling'));
    symlinkSync(join(outside, 'precious'), join(target, 'link'));
    expect(root.createFile(name('dangling'))).toBe('EEXIST');
    expect(root.createFile(name('link'))).toBe('EEXIST');
    expect(root.openFile(name('link'))).toBe('ELOOP');
    expect(root.hardLink(name('link'), root, name('copy'))).toBeUndefined();
    expect(lstatSync(join(target, 'copy')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(outside, 'precious')).nlink).toBe(1);
  });

  it('a handle on a planted symlink is on the link', () => {
    symlinkSync(join(outside, 'precious'), join(target, 'link'));
    const before = lstatSync(join(outside, 'precious'), { bigint: true });
    const handle = root.handle(name('link'));
    if (typeof handle === 'string') throw new Error(handle);
    handle.chown(1, 1);
    handle.chmod(0o777);
    handle.setTimes(Buffer.alloc(32));
    handle.close();
    expect(lstatSync(join(outside, 'precious'), { bigint: true })).toEqual(before);
  });

  it.each([
    '',
    '.',
    '..',
    '../outside',
    'a/b',
    '/',
    'a\0b',
    '\u012f',
    '\u0100',
    '..\u012foutside',
    'n'.repeat(256),
  ])('the name %j is refused everywhere', (bad) => {
    const evil = name(bad);
    writeFileSync(join(target, 'file'), '');
    const answers = [
      root.openFolder(evil, { create: true }),
      root.makeFolder(evil),
      root.createFile(evil),
      root.openFile(evil),
      root.rename(evil, name('x')),
      root.rename(name('file'), evil),
      root.makeLink(evil, name('x')),
      root.hardLink(evil, root, name('x')),
      root.hardLink(name('file'), root, evil),
      root.replaceByHardLink(name('file'), root, evil),
      root.remove(evil),
      root.removeFolder(evil),
      root.stat(evil),
      root.readLink(evil),
      root.handle(evil),
    ];
    expect(answers).toEqual(answers.map(() => 'EINVAL'));
    expect(openDirBelow(root, [evil], { create: true })).toEqual({ errno: 'EINVAL', at: 0 });
    expect(componentsOf(name(`/a/${bad}`))).toEqual(bad === 'a/b' ? ['a', 'a', 'b'] : undefined);
    expect(hasComponents(name(`/a/${bad}`))).toBe(bad === 'a/b');
    expect(readdirSync(target)).toEqual(['file']);
  });

  it('a NUL in a link’s target or in the target’s path is refused', () => {
    expect(root.makeLink(name('link'), name('a\0b'))).toBe('EINVAL');
    expect(SafeDir.openTarget(name(`${target}\0/x`))).toBe('EINVAL');
  });

  it('a folder that is exchanged for a symlink while it is open stays the folder', () => {
    mkdirSync(join(target, 'folder'));
    const folder = held(root.openFolder(name('folder')));
    expect(root.rename(name('folder'), name('moved'))).toBeUndefined();
    symlinkSync(outside, join(target, 'folder'));
    writeNew(folder, name('file'), 'content');
    expect(readdirSync(join(target, 'moved'))).toEqual(['file']);
  });

  it('a device, FIFO or socket in a file’s place is not opened', () => {
    expect(held(SafeDir.openTarget(name('/dev'))).openFile(name('null'))).toBe('EINVAL');
    expect(root.openFile(name('missing'))).toBe('ENOENT');
    mkdirSync(join(target, 'folder'));
    expect(root.openFile(name('folder'))).toBe('EISDIR');
  });
});

it('splits paths only where they are absolute and plain', () => {
  expect(componentsOf(name('/'))).toEqual([]);
  expect(componentsOf(name('/a/b\nc/\xff'))).toEqual(['a', 'b\nc', '\xff']);
  for (const good of ['/', '/a/b\nc/\xff', '/.a/..b/...', `/${'a'.repeat(255)}/b`])
    expect([good, componentsOf(name(good)) !== undefined, hasComponents(name(good))]).toEqual([
      good,
      true,
      true,
    ]);
  const longName = `/${'a'.repeat(256)}/b`;
  for (const bad of [
    '',
    'a',
    'a/b',
    '//',
    '/a/',
    '/a//b',
    '/a/../b',
    '/./a',
    '/..',
    '/a\0',
    '/\u012f',
    longName,
  ])
    expect([bad, componentsOf(name(bad)), hasComponents(name(bad))]).toEqual([bad, undefined, false]);
});

it('leaves no descriptor open', () => {
  mkdirSync(join(target, 'a/b'), { recursive: true });
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 50; i++) {
    const folder = openDirBelow(root, chain('a', 'b', 'missing'));
    expect(folder).toEqual({ errno: 'ENOENT', at: 2 });
    const deep = openDirBelow(root, chain('a', 'b'));
    if (deep instanceof SafeDir) deep.close();
  }
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 25);
});
