import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hashFile } from '#src/content/hash-file.js';

const folder = mkdtempSync(join(tmpdir(), 'hash-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('hashFile', () => {
  it.each([0, 1, 3_000_000])('hashes a file of %i bytes', async (length) => {
    const bytes = randomBytes(length);
    const path = join(folder, `${length}`);
    writeFileSync(path, bytes);
    const { sha, md5, size } = await hashFile(path);
    expect(Buffer.from(sha)).toEqual(createHash('sha256').update(bytes).digest());
    expect(md5).toBe(createHash('md5').update(bytes).digest('hex'));
    expect(size).toBe(length);
  });

  it('rejects where the file is missing or the signal has fired', async () => {
    await expect(hashFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    const path = join(folder, 'some');
    writeFileSync(path, 'x');
    await expect(hashFile(path, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
