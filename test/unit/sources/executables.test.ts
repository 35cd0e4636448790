import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import { findExecutables } from '#src/sources/executables.js';
import { isRoot, newFolder, uid, writeScript } from './script-folder.js';

describe('findExecutables', () => {
  it('finds executables and links to them, in byte order of names', async () => {
    const folder = newFolder();
    const elsewhere = writeScript(newFolder(), 'target', 'true');
    for (const name of ['b', 'ä', 'B', '10', '9']) writeScript(folder, name, 'true');
    symlinkSync(elsewhere, join(folder, 'link'));
    const { executables, skipped } = await findExecutables(folder, { uid });
    expect(executables.map(({ name }) => name)).toEqual(['10', '9', 'B', 'b', 'link', 'ä']);
    expect(executables[0]?.path).toBe(join(folder, '10'));
    expect(skipped).toEqual([]);
  });

  it('takes a missing folder for an empty one', async () => {
    expect(await findExecutables(join(newFolder(), 'none'), { uid })).toEqual({
      executables: [],
      skipped: [],
    });
  });

  it('says what it skips and why', async () => {
    const folder = newFolder();
    writeScript(folder, 'README', 'true', 0o644);
    writeScript(folder, 'old~', 'true');
    writeScript(folder, '.hidden', 'true');
    mkdirSync(join(folder, 'sub'));
    symlinkSync('sub', join(folder, 'sub-link'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const { executables, skipped } = await findExecutables(folder, { uid });
    expect(executables).toEqual([]);
    expect(Object.fromEntries(skipped.map(({ name, reason }) => [name, reason]))).toEqual({
      '.hidden': 'hidden',
      README: 'not-executable',
      'old~': 'backup-copy',
      pipe: 'not-a-file',
      sub: 'folder',
      'sub-link': 'folder',
    });
  });

  it('keeps a link that leads nowhere, so that running it fails aloud', async () => {
    const folder = newFolder();
    symlinkSync('/nonexistent/picker', join(folder, 'gone'));
    const { executables } = await findExecutables(folder, { uid });
    expect(executables.map(({ name }) => name)).toEqual(['gone']);
  });

  it('keeps the bytes of a name that is no UTF-8', async () => {
    const folder = newFolder();
    const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x61, 0xff])]);
    writeFileSync(path, '#!/bin/sh\n');
    chmodSync(path, 0o755);
    const { executables } = await findExecutables(folder, { uid });
    expect(executables).toEqual([{ name: 'a\\xff', path: path.toString('latin1') }]);
  });

  it('refuses what is no folder', async () => {
    const file = writeScript(newFolder(), 'file', 'true');
    await expect(findExecutables(file, { uid })).rejects.toMatchObject({ code: 'CONFIG' });
  });
});

describe.skipIf(!isRoot)('findExecutables for root (needs root)', () => {
  const asRoot = { uid: 0 };

  async function refusal(folder: string): Promise<SysbackupError> {
    const error: unknown = await findExecutables(folder, asRoot).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof SysbackupError)) throw new Error('nothing was refused');
    expect(error.code).toBe('CONFIG');
    return error;
  }

  it('takes what only root can change', async () => {
    const folder = newFolder();
    chmodSync(writeScript(folder, 'a', 'true'), 0o775);
    const { executables } = await findExecutables(folder, asRoot);
    expect(executables).toHaveLength(1);
  });

  it('does not mind files that it would not run', async () => {
    const folder = newFolder();
    writeScript(folder, 'README', 'true', 0o666);
    await expect(findExecutables(folder, asRoot)).resolves.toMatchObject({ executables: [] });
  });

  it.each([0o757, 0o1757, 0o777])('refuses a folder of mode %o', async (mode) => {
    const folder = newFolder();
    chmodSync(folder, mode);
    const error = await refusal(folder);
    expect(error.message).toContain(folder);
    expect(error.hint).toBe(`chmod go-w '${folder}'`);
  });

  it('refuses an executable that all can write', async () => {
    const path = writeScript(newFolder(), 'a', 'true', 0o777);
    const error = await refusal(join(path, '..'));
    expect(error.message).toContain(path);
    expect(error.hint).toContain('chmod go-w');
  });

  it('refuses one that a group other than root’s can write', async () => {
    const path = writeScript(newFolder(), 'a', 'true', 0o775);
    chownSync(path, 0, 1);
    expect((await refusal(join(path, '..'))).message).toContain(path);
  });

  it('refuses one, and a folder, that another user owns', async () => {
    const path = writeScript(newFolder(), 'a', 'true');
    chownSync(path, 1, 0);
    expect((await refusal(join(path, '..'))).hint).toContain('chown root');
    const folder = newFolder();
    chownSync(folder, 1, 0);
    expect((await refusal(folder)).message).toContain(folder);
  });

  it('refuses a link to a target, or into a folder, that others can write', async () => {
    const folder = newFolder();
    const target = writeScript(newFolder(), 'target', 'true', 0o777);
    symlinkSync(target, join(folder, 'link'));
    expect((await refusal(folder)).message).toContain(target);
    chmodSync(target, 0o755);
    await expect(findExecutables(folder, asRoot)).resolves.toBeDefined();
    chmodSync(join(target, '..'), 0o777);
    expect((await refusal(folder)).message).toContain(join(target, '..'));
  });

  it('refuses a link through a link in a folder that others can write', async () => {
    const [folder, open, safe] = [newFolder(), newFolder(), newFolder()];
    symlinkSync(writeScript(safe, 'target', 'true'), join(open, 'hop'));
    symlinkSync(join(open, 'hop'), join(folder, 'link'));
    await expect(findExecutables(folder, asRoot)).resolves.toBeDefined();
    chmodSync(open, 0o777);
    expect((await refusal(folder)).message).toContain(open);
  });

  it('refuses one that an ACL lets somebody write', async (context) => {
    const path = writeScript(newFolder(), 'a', 'true');
    try {
      execFileSync('setfacl', ['-m', 'u:1:rwx', path], { stdio: 'ignore' });
    } catch {
      context.skip('needs setfacl and a file system with ACLs');
    }
    expect((await refusal(join(path, '..'))).message).toContain(path);
  });
});
