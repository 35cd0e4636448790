import { mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSidecar, type Sidecar } from '#src/store/directory-sidecar.js';
import { DirectoryWriter } from '#src/store/directory-write.js';
import { SyncRounds } from '#src/store/sync-rounds.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'write-'));
  await mkdir(join(root, 'tmp'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

describe('claiming a place on a file system without hard links', () => {
  it('works once, whoever is second is told', async () => {
    const rounds = await SyncRounds.open(root);
    const writer = new DirectoryWriter(root, rounds, true, () =>
      Promise.reject(Object.assign(new Error('no links here'), { code: 'EPERM' })),
    );
    const place = join(root, 'k.json');
    const sidecarOf = (version: string): Sidecar => ({
      version: version.repeat(32),
      size: 1,
      metadata: { text: 'x'.repeat(10_000) },
      retention: { mode: 'COMPLIANCE', until: 7 },
      received: 5,
    });
    const claims = await Promise.all(
      ['a', 'b', 'c'].map(async (version) => {
        const sidecar = sidecarOf(version);
        const file = await writer.sidecar(sidecar);
        const won = await writer.claim(file, sidecar, place);
        await writer.discard(file);
        return won ? version : undefined;
      }),
    );
    const [winner, ...others] = claims.filter((version) => version !== undefined);
    expect(others).toEqual([]);
    expect(await readSidecar(place)).toEqual(sidecarOf(winner ?? ''));
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    await rounds.close();
  });
});

describe('making files durable in rounds', () => {
  it.each([true, false])('tells each caller of its own files only (syncfs: %s)', async (syncfs) => {
    const rounds = await SyncRounds.open(root, { syncfs });
    const file = await open(join(root, 'file'), 'w');
    await file.writeFile('x');
    await Promise.all(Array.from({ length: 20 }, () => rounds.sync([file.fd, root])));
    await rounds.sync([]);
    const results = await Promise.allSettled([rounds.sync([join(root, 'missing')]), rounds.sync([file.fd])]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    await file.close();
    await rounds.close();
  });

  it('finds the file that failed where syncfs fails', async () => {
    const rounds = await SyncRounds.open(root, { syncfs: true });
    await rounds.close(); // Its descriptor is no good any more.
    const results = await Promise.allSettled(
      [root, join(root, 'missing'), root, root].map((target) => rounds.sync([target])),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  });
});
