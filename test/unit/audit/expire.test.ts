import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expire } from '#src/audit/expire.js';
import { verify } from '#src/audit/verify.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { run } from '../cli/command.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { changeSidecar } from '../../kit/change-sidecar.js';

const NOW = Math.floor(Date.now() / 1000);

/** A machine that backs up into a directory. */
async function machineWithDirectory(): Promise<{ machine: BackupMachine; path: string; store: ObjectStore }> {
  const machine = new BackupMachine();
  const path = join(machine.folder, 'store');
  const store = await openDirectoryStore({ path, create: true });
  machine.store = store;
  onTestFinished(() => store.close());
  return { machine, path, store };
}

/** Lets the locks of all versions end whose key the filter takes, as time would. */
function lapse(path: string, filter: (key: string) => boolean = () => true): void {
  const folder = join(path, 'retention');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.json') || !filter(name.slice(0, -5))) continue;
    const retention = { mode: 'GOVERNANCE', until: NOW - 60 };
    changeSidecar(join(folder, name), () => ({ retention }));
  }
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(store, { prefix: '' })) keys.push(key);
  return keys;
}

function contentKey(text: string): string {
  return `content/${createHash('sha256').update(text).digest('hex')}`;
}

async function twoRuns(): ReturnType<typeof machineWithDirectory> {
  const made = await machineWithDirectory();
  const { machine } = made;
  machine.write('letter', 'first');
  machine.write('other', 'same');
  await machine.archive();
  machine.write('letter', 'second');
  await machine.archive();
  return made;
}

describe('expiring', () => {
  it('removes what no living run names, and leaves the newest run whole', async () => {
    const { machine, path, store } = await twoRuns();
    lapse(path);
    const result = await expire({ path });
    expect(result).toMatchObject({ runsKept: 1, runsRemoved: 1, removed: 1, kept: 2 });
    const keys = await keysOf(store);
    expect(keys).not.toContain(contentKey('first'));
    expect(keys).toEqual(expect.arrayContaining([contentKey('second'), contentKey('same')]));
    const verified = await verify({ store, readData: 100, spoolFolder: machine.folder });
    expect(verified.counts).toMatchObject({ missing: 0, damaged: 0, manifest: 0 });
  });

  it('leaves what is locked, and what a locked run names though its own lock has ended', async () => {
    const { path, store } = await twoRuns();
    const before = await keysOf(store);
    lapse(path, (key) => key.startsWith('content/'));
    expect(await expire({ path, keepNewest: false })).toMatchObject({ removed: 0, runsRemoved: 0 });
    expect(await keysOf(store)).toEqual(before);
  });

  it('removes the last run too where that is asked for', async () => {
    const { path, store } = await twoRuns();
    lapse(path);
    expect(await expire({ path, keepNewest: false })).toMatchObject({ runsRemoved: 2, removed: 3, kept: 0 });
    expect(await keysOf(store)).toEqual([]);
  });

  it('only counts in a dry run', async () => {
    const { path, store } = await twoRuns();
    lapse(path);
    const before = await keysOf(store);
    expect(await expire({ path, dryRun: true })).toMatchObject({ runsRemoved: 1, removed: 1 });
    expect(await keysOf(store)).toEqual(before);
  });

  it('removes nothing where a living manifest cannot be read', async () => {
    const { path, store } = await twoRuns();
    lapse(path);
    const before = await keysOf(store);
    for (const manifest of before.filter((key) => key.startsWith('manifests/'))) {
      chmodSync(join(path, manifest), 0o644);
      writeFileSync(join(path, manifest), 'no manifest');
    }
    await expect(expire({ path })).rejects.toMatchObject({ code: 'REFUSED', exitCode: 14 });
    expect(await keysOf(store)).toEqual(before);
  });

  it('never takes what is locked anew at the same time', async () => {
    const { path, store } = await machineWithDirectory();
    const put = async (nth: number): Promise<{ key: string; version: string }> => {
      const bytes = Buffer.from(`content ${nth}`);
      const md5 = createHash('md5').update(bytes).digest('hex');
      const key = contentKey(bytes.toString());
      const retention = { mode: 'GOVERNANCE' as const, until: NOW - 60 };
      const { version } = await store.put({ key, body: { bytes, md5, size: bytes.length }, retention });
      return { key, version };
    };
    const stored = await Promise.all(Array.from({ length: 60 }, (_, nth) => put(nth)));
    const expiring = expire({ path });
    const extended = await Promise.all(
      stored.map(async ({ key, version }) => {
        try {
          await store.extendRetention(key, version, { mode: 'GOVERNANCE', until: NOW + 3600 });
          return true;
        } catch {
          return false;
        }
      }),
    );
    await expiring;
    const left = new Set(await keysOf(store));
    for (const [nth, { key }] of stored.entries()) expect(left.has(key)).toBe(extended[nth]);
  });

  it('clears away what runs that were killed left behind, once it is old', async () => {
    const { path } = await twoRuns();
    mkdirSync(join(path, 'tmp'), { recursive: true });
    for (const [name, age] of [
      ['old.tmp', 5],
      ['new.tmp', 0],
    ] as const) {
      writeFileSync(join(path, 'tmp', name), '');
      utimesSync(join(path, 'tmp', name), NOW, NOW - age * 86_400);
    }
    await expire({ path });
    expect(readdirSync(join(path, 'tmp'))).toEqual(['new.tmp']);
  });

  it('from the command line says what it did, and that there is no such folder', async () => {
    const { path } = await twoRuns();
    lapse(path);
    const ended = await run(['expire', '--directory', path]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const [first, kept, ...rest] = ended.stdout.trimEnd().split('\n');
    expect(first).toMatch(/^removed 1 manifests and 1 objects, .*; 1 manifests and 2 objects stay$/);
    // The last run of all has no lock any more either.
    expect(kept).toMatch(/^ {2}test-backup\/\S+ is not locked any more and stays, .* newest .* --last-too$/);
    expect(rest).toEqual([]);
    expect((await run(['expire', '--directory', join(path, 'no-such')])).code).toBe(10);
    expect((await run(['expire'])).code).toBe(2);
  });
});
