import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openContent } from '#src/audit/cat.js';
import { type Change, diffRuns } from '#src/audit/diff.js';
import { listBackups } from '#src/audit/list.js';
import { listEntries } from '#src/audit/ls.js';
import { verify } from '#src/audit/verify.js';
import { listRuns, type StoredRun } from '#src/manifest/runs.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { entryPath } from '#src/manifest/paths.js';
import type { ManifestEntry } from '#src/manifest/types.js';
import type { RestoreOptions, RestoreSummary } from '#src/restore/options.js';
import { restore } from '#src/restore/restore.js';
import { restoreToTar } from '#src/restore/tar.js';
import { restoreSnapshots } from '#src/restore/snapshots.js';
import { MemoryStore } from '#src/store/memory.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { OlderBucket, type OlderEntryJson } from '../../kit/older-bucket.js';
import { olderFacts } from '../../kit/older-comparison.js';
import { makeOlderTree } from '../../kit/older-tree.js';
import { asRoot, findProgram } from '../../kit/programs.js';
import { temporaryFolder } from '../../kit/temporary.js';

let folder: string;
let tree: string;
let store: MemoryStore;
let bucket: OlderBucket;
let now: number;

beforeEach(() => {
  folder = temporaryFolder();
  tree = join(folder, 'tree');
  makeOlderTree(tree);
  now = Date.parse('2026-11-20T12:10:33Z');
  store = new MemoryStore({ now: () => now });
  bucket = new OlderBucket(store, 'web1');
});

async function restored(
  run: StoredRun,
  more: Partial<RestoreOptions> = {},
): Promise<{ summary: RestoreSummary; target: string }> {
  const target = more.target ?? mkdtempSync(join(folder, 'target-'));
  const summary = await restore({ store, run, spoolFolder: folder, ...more, target });
  return { summary, target };
}

async function entriesOf(run: StoredRun): Promise<Map<string, ManifestEntry>> {
  const entries = new Map<string, ManifestEntry>();
  for await (const batch of listEntries({ store, run }))
    for (const entry of batch) entries.set(entry.typ === 's' ? entry.name : entryPath(entry), entry);
  return entries;
}

describe('a bucket of the older format', () => {
  it.each([{ acl: 'getfacl' as const }, { acl: 'library' as const }])(
    'is restored, all that it knows, with ACLs as $acl writes them',
    async (options) => {
      bucket = new OlderBucket(store, 'web1', options);
      await bucket.backUp(tree);
      const { summary, target } = await restored(await resolveRun(store, 'latest'));
      expect(summary).toMatchObject({ backup: 'web1', outcome: 'complete', failed: 0, notSet: {} });
      expect(summary.problems).toEqual([]);
      expect(olderFacts(join(target, tree))).toEqual(olderFacts(tree));
    },
  );

  it('lists each version of the manifest as a run, which its id and the name mean', async () => {
    await bucket.backUp(tree);
    now += 86_400_000;
    await bucket.backUp(tree);
    now += 500;
    await bucket.backUp(tree);
    store.addDeleteMarker(bucket.manifestKey);
    const runs = await listRuns(store, { backup: 'web1' });
    expect(runs.map(({ run }) => run.slice(0, 17))).toEqual([
      '20261120T121033Z-',
      '20261121T121033Z-',
      '20261121T121033Z-',
    ]);
    expect(new Set(runs.map(({ run }) => run)).size).toBe(3);
    expect(await listRuns(store)).toEqual(runs);
    for (const run of runs) {
      expect(await resolveRun(store, run.run)).toEqual(run);
      expect(await resolveRun(store, `web1/${run.run}`)).toEqual(run);
    }
    expect(await resolveRun(store, 'web1')).toEqual(runs[2]);
    const listed = await listBackups(store, { footers: true });
    expect(listed).toHaveLength(3);
    for (const row of listed)
      expect(row).toMatchObject({ name: 'web1', counts: undefined, problem: undefined });
  });

  it('is only taken for the newest run if it holds something, and never hides a change of machine', async () => {
    await bucket.backUp(tree);
    now += 1000;
    await bucket.putManifest({ content: [], snapshots: [], log: ['nothing'] });
    const warnings: string[] = [];
    const onEvent = (event: { type: string; message?: string }): void => {
      warnings.push(event.message ?? '');
    };
    const run = await resolveRun(store, 'web1', { onEvent });
    expect(run.received).toBe(now - 1000);
    expect(warnings).toEqual([expect.stringContaining('it holds nothing')]);
  });

  it('can be looked at with ls, cat and diff', async () => {
    const first = await bucket.backUp(tree);
    now += 1000;
    writeFileSync(join(tree, 'text'), 'another text');
    await bucket.backUp(tree);
    const [before, after] = await listRuns(store);
    if (!before || !after) throw new Error('no runs');
    const entries = await entriesOf(before);
    expect(entries.size).toBe(first.entries.length);
    expect([...entries.keys()]).toEqual([...entries.keys()].sort());
    expect(entries.get(join(tree, 'empty'))).toMatchObject({ typ: 'f', dat: null, size: 0, mode: 0o600 });
    expect(entries.get(join(tree, 'tool'))).toMatchObject({ mode: 0o6751 });
    const text = entries.get(join(tree, 'text'));
    expect(text).toMatchObject({ sha: expect.any(String), dat: { encIn: 'metadata' } });
    expect(text).not.toHaveProperty('size');
    for (const name of ['text', 'own.gz', 'noise', 'empty']) {
      const { bytes } = await openContent({
        store,
        run: name === 'text' ? after : before,
        path: join(tree, name),
      });
      const pieces: Uint8Array[] = [];
      for await (const piece of bytes) pieces.push(Buffer.from(piece));
      expect(Buffer.concat(pieces).equals(readFileSync(join(tree, name))), name).toBe(true);
    }
    const changes: Change[] = [];
    for await (const batch of diffRuns({ store, before, after })) changes.push(...batch);
    expect(changes).toMatchObject([
      { change: 'changed', parts: ['content'], after: { path: join(tree, 'text') } },
    ]);
  });

  it('tells of damage when its bytes are read: content that does not hash to its key', async () => {
    const { entries } = await bucket.backUp(tree);
    const entry = entries.find(({ path }) => path === join(tree, 'noise'));
    const { version } = store.putForeign({ key: String(entry?.['dat']), bytes: Buffer.alloc(5000) });
    const doctored = entries.map((each) => (each === entry ? { ...each, ver: version } : each));
    now += 1000;
    await bucket.putManifest({ content: doctored, snapshots: [], log: [] });
    const run = await resolveRun(store, 'web1');
    const { summary, target } = await restored(run);
    expect(summary.problems).toMatchObject([{ code: 'damaged', path: join(tree, 'noise') }]);
    expect([...olderFacts(join(target, tree)).keys()]).not.toContain('/noise');
    const result = await verify({ store, run, readData: 100, spoolFolder: folder });
    expect(result.counts).toEqual({
      manifest: 0,
      missing: 0,
      hidden: 0,
      damaged: 1,
      unreadable: 0,
      short: 0,
    });
    expect(result.findings).toMatchObject([{ kind: 'damaged', paths: [{ path: join(tree, 'noise') }] }]);
  });

  it('brings snapshots back with what their metadata say, of both kinds of key and of their first version', async () => {
    const about = { 'backup-output': 'größe: 2 tables', 'restore-through': 'psql' };
    const keys = [
      await bucket.putSnapshot('db', '2026-11-20T12:10Z', 'dump', about),
      await bucket.putSnapshot(
        'pack-ages',
        '2026-11-20T12:10Z',
        'list',
        { 'storage-encoding': 'gzip' },
        'web-1',
      ),
    ];
    await bucket.backUp(tree, [...keys, 'snapshots/2026-11-20T12:10Z-gone']);
    now += 1000;
    await bucket.putSnapshot('db', '2026-11-20T12:10Z', 'what a thief has put there', {});
    const run = await resolveRun(store, 'web1');
    const into = join(folder, 'snapshots');
    const summary = await restoreSnapshots({ store, run, into, spoolFolder: folder });
    expect(summary.problems).toEqual([]);
    expect(summary.restored).toMatchObject([
      { name: 'db', size: 4, description: 'größe: 2 tables', restoreThrough: 'psql' },
      { name: 'pack-ages', size: 4, description: undefined },
    ]);
    expect(readFileSync(join(into, 'db'), 'utf8')).toBe('dump');
    expect(readFileSync(join(into, 'pack-ages'), 'utf8')).toBe('list');
    // The third is told to whoever reads the run.
    expect((await restored(run)).summary.outcome).toBe('partial');
  });

  it('is restored again without fetching what is right already, and with what is not', async () => {
    await bucket.backUp(tree);
    const run = await resolveRun(store, 'web1');
    const { target } = await restored(run);
    writeFileSync(join(target, tree, 'noise'), Buffer.alloc(5000));
    const { summary } = await restored(run, { target });
    expect(summary).toMatchObject({ failed: 0, done: { create: 0, replace: expect.any(Number) } });
    expect(summary.requests).toBeLessThanOrEqual(2 * summary.done.replace);
    expect(olderFacts(join(target, tree))).toEqual(olderFacts(tree));
  });

  it.skipIf(!asRoot || findProgram('tar') === undefined)(
    'comes out of a tar like that too (needs tar and root)',
    async () => {
      // Longer than is kept in memory, and with its length in no place at all.
      writeFileSync(join(tree, 'long'), Buffer.alloc(6 * 1024 * 1024, 'long '));
      await bucket.backUp(tree);
      const run = await resolveRun(store, 'web1');
      const tar = join(folder, 'out.tar');
      const file = openSync(tar, 'w');
      const write = async (bytes: Uint8Array): Promise<void> => {
        writeSync(file, bytes);
      };
      const summary = await restoreToTar({ store, run, spoolFolder: folder, write });
      closeSync(file);
      expect(summary).toMatchObject({ failed: 0, problems: [] });
      const target = mkdtempSync(join(folder, 'target-'));
      execFileSync('tar', ['-xpf', tar, '-C', target, '--acls']);
      expect(olderFacts(join(target, tree))).toEqual(olderFacts(tree));
      expect(statSync(join(target, tree, 'text')).mtimeMs).toBe(run.time);
    },
  );

  it('may name one content by several versions', async () => {
    const { entries } = await bucket.backUp(tree);
    const path = join(tree, 'text');
    const ver = await bucket.putContentAgain(readFileSync(path));
    const again = { ...entries.find((entry) => entry['path'] === path), path: `${path}2`, ver };
    now += 1000;
    await bucket.putManifest({ content: [...entries, again], snapshots: [], log: [] });
    const { summary, target } = await restored(await resolveRun(store, 'web1'));
    expect(summary.failed).toBe(0);
    expect(readFileSync(join(target, `${path}2`))).toEqual(readFileSync(path));
  });
});

it('archive uses the content that an older bucket holds as it is, and stores what only that program could compress', async () => {
  const machine = new BackupMachine();
  machine.store = store;
  machine.write('noise', readFileSync(join(tree, 'noise')));
  machine.write('text', readFileSync(join(tree, 'text')));
  const { entries } = await bucket.backUp(machine.tree);
  const { summary } = await machine.archive();
  expect(summary).toMatchObject({ outcome: 'complete', stored: { objects: 1 } });
  const stored = await machine.entries(summary);
  const older = (name: string): OlderEntryJson | undefined =>
    entries.find(({ path }) => path === join(machine.tree, name));
  expect(stored.get('noise')).toMatchObject({
    dat: { key: older('noise')?.['dat'], ver: older('noise')?.['ver'] },
  });
  expect(stored.get('text')).toMatchObject({ dat: { key: older('text')?.['dat'], enc: 'gzip' } });
  expect(stored.get('text')).not.toMatchObject({ dat: { ver: older('text')?.['ver'] } });
  // The first run of the new format after those of the older one is no change of machine.
  const warnings: unknown[] = [];
  const latest = await resolveRun(store, 'test-backup', { onEvent: (event) => warnings.push(event) });
  expect(latest.run).toBe(summary.run);
  expect(warnings).toEqual([]);
});
