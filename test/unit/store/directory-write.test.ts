import { fstatSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSidecar, type Sidecar } from '#src/store/directory-sidecar.js';
import { DirectoryWriter } from '#src/store/directory-write.js';
import { SyncRounds, type SyncTarget } from '#src/store/sync-rounds.js';

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
        await writer.settle([file]);
        const won = await writer.claim(file, place);
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

  it('gives the name only to what is on the disk, and is over when the name is too', async () => {
    const place = join(root, 'k.json');
    const onDisk = new Set<number>();
    const synced: string[] = [];
    const inodeAtPlace = (): number | undefined => {
      const found = statSync(place, { throwIfNoEntry: false });
      // An empty file claims the place for nobody.
      return found === undefined || found.size === 0 ? undefined : found.ino;
    };
    const rounds = {
      sync: async (targets: readonly SyncTarget[]) => {
        // What a power cut would find under the name now.
        const named = inodeAtPlace();
        expect(named === undefined || onDisk.has(named)).toBe(true);
        for (const target of targets)
          if (typeof target === 'number') onDisk.add(fstatSync(target).ino);
          else if (inodeAtPlace() !== undefined) synced.push(target);
      },
    } as unknown as SyncRounds;
    const writer = new DirectoryWriter(root, rounds, true, () =>
      Promise.reject(Object.assign(new Error('no links here'), { code: 'EPERM' })),
    );
    const file = await writer.sidecar({
      version: 'a'.repeat(32),
      size: 1,
      metadata: {},
      retention: undefined,
      received: 5,
    });
    await writer.settle([file]);
    expect(await writer.claim(file, place)).toBe(true);
    await writer.discard(file);
    expect(inodeAtPlace()).toBeDefined();
    expect(synced).toEqual([root]);
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
