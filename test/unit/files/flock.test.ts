import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { tryLockFile, tryLockShared } from '#src/files/flock.js';
import { hasFlockProgram, holdLock } from '../content/hold-lock.js';

const folder = mkdtempSync(join(tmpdir(), 'flock-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('tryLockFile', () => {
  it('is had once at a time, and again after release', () => {
    const path = join(folder, 'once');
    const lock = tryLockFile(path);
    expect(lock).toBeDefined();
    expect(tryLockFile(path)).toBeUndefined();
    lock?.release();
    const next = tryLockFile(path);
    expect(next).toBeDefined();
    // A second release must not close a descriptor that someone else has by now.
    lock?.release();
    expect(tryLockFile(path)).toBeUndefined();
    next?.release();
  });

  it('creates the file for its owner only, and leaves what is in it', () => {
    const path = join(folder, 'mode');
    tryLockFile(path)?.release();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, 'something');
    tryLockFile(path)?.release();
    expect(readFileSync(path, 'utf8')).toBe('something');
  });

  it('says which file cannot be opened', () => {
    const path = join(folder, 'none', 'lock');
    expect(() => tryLockFile(path)).toThrow(
      expect.objectContaining({ code: 'SYSTEM', message: expect.stringContaining(path) }),
    );
  });

  it.skipIf(!hasFlockProgram)('sees the lock of another process (needs flock)', async () => {
    const path = join(folder, 'other');
    const holder = await holdLock(path);
    expect(tryLockFile(path)).toBeUndefined();
    await holder.release();
    const lock = tryLockFile(path);
    expect(lock).toBeDefined();
    lock?.release();
  });
});

describe('tryLockShared', () => {
  it('is had by several at once, and keeps the exclusive one away until closed', () => {
    const path = join(folder, 'shared');
    writeFileSync(path, '');
    const [a, b] = [openSync(path, 'r'), openSync(path, 'r')];
    expect([tryLockShared(a), tryLockShared(b)]).toEqual(['locked', 'locked']);
    closeSync(a);
    expect(tryLockFile(path)).toBeUndefined();
    closeSync(b);
    const lock = tryLockFile(path);
    expect(lock).toBeDefined();
    lock?.release();
  });

  it.skipIf(!hasFlockProgram)('is refused while another process writes (needs flock)', async () => {
    const path = join(folder, 'written');
    const holder = await holdLock(path);
    const fd = openSync(path, 'r');
    expect(tryLockShared(fd)).toBe('held');
    await holder.release();
    expect(tryLockShared(fd)).toBe('locked');
    closeSync(fd);
  });
});
