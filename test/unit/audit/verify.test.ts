import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { failureOf, verify } from '#src/audit/verify.js';
import type { VerifyOptions } from '#src/audit/verify-options.js';
import { SysbackupError, type ErrorCode } from '#src/errors.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import type { ObjectStore } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { type Asked, BackupMachine, recorded } from '../../kit/backup-machine.js';
import { changed, damaged } from '../../kit/store-wrappers.js';

const DAY = 86_400_000;

/** A machine that has backed up: two files of the same content, a file of blocks, an empty one, a snapshot. */
async function backedUp() {
  const machine = new BackupMachine();
  machine.write('a/one', 'same content');
  machine.write('b/two', 'same content');
  machine.write('large', randomBytes(200_000));
  machine.write('empty', '');
  machine.snapshotter('db', 'printf dump >&$1');
  const { summary } = await machine.archive();
  const one = (await machine.entries(summary)).get('a/one') as FileEntry & { dat: ObjectRef };
  return { machine, summary, one: one.dat };
}

function check(machine: BackupMachine, options: Partial<VerifyOptions> = {}) {
  return verify({ store: machine.store, spoolFolder: machine.folder, ...options });
}

function kinds(asked: readonly Asked[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of asked) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return error instanceof SysbackupError ? error.code : undefined;
}

describe('verify', () => {
  it("finds a good backup good, with an auditor's rights alone", async () => {
    const { machine, summary } = await backedUp();
    const { store, asked } = recorded(machine.store);
    const result = await check(machine, { store });
    expect(failureOf(result)).toBeUndefined();
    expect(result.counts).toEqual({
      manifest: 0,
      missing: 0,
      hidden: 0,
      damaged: 0,
      unreadable: 0,
      short: 0,
    });
    // One content of two files, four blocks, one snapshot.
    expect(result.versions).toBe(6);
    expect(result.checked).toEqual({ existence: 6, locks: 6, data: 0, bytes: 0 });
    expect(result.runs).toMatchObject([
      { run: summary.run, state: 'checked', promise: { mode: 'GOVERNANCE' } },
    ]);
    const needed = Math.ceil(machine.now / 1000) + 14 * 86_400;
    expect(result.shortest).toMatchObject([{ backup: 'test-backup', until: needed }]);
    // Listings of manifests, content and snapshots; a lock for each version and the manifest.
    expect(kinds(asked)).toEqual({ list: 3, get: 1, 'get-retention': 7 });
    expect(asked.filter(({ kind }) => kind === 'get').map(({ key }) => key)).toEqual([summary.manifest?.key]);
  });

  it('says what is missing and which paths depend on it', async () => {
    const { machine, one } = await backedUp();
    machine.memory.deleteVersion(one.key, one.ver, { bypassGovernance: true });
    // What came later under the same key is not what the run names.
    machine.memory.putForeign({ key: one.key, bytes: Buffer.from('same content') });
    const result = await check(machine);
    expect(result.counts.missing).toBe(1);
    expect(result.findings).toMatchObject([
      { kind: 'missing', key: one.key, version: one.ver, pathCount: 2 },
    ]);
    expect(result.findings[0]?.paths.map(({ path }) => path)).toEqual([
      join(machine.tree, 'a/one'),
      join(machine.tree, 'b/two'),
    ]);
    expect(failureOf(result)).toMatchObject({ code: 'DAMAGED', exitCode: 1 });
  });

  it('says which lock is shorter than promised, or weaker', async () => {
    const { machine, one } = await backedUp();
    const promised = Math.ceil(machine.now / 1000) + 14 * 86_400;
    const withLock = (lock: Awaited<ReturnType<ObjectStore['getRetention']>>) =>
      check(machine, {
        store: changed(machine.store, {
          getRetention: async (key, version) =>
            key === one.key ? lock : machine.store.getRetention(key, version),
        }),
      });
    const short = await withLock({ mode: 'COMPLIANCE', until: promised - 1 });
    expect(short.counts).toMatchObject({ short: 1, missing: 0 });
    expect(short.findings).toMatchObject([{ kind: 'short', key: one.key, pathCount: 2 }]);
    expect(short.shortest).toMatchObject([{ until: promised - 1, key: one.key }]);
    expect(failureOf(short)).toMatchObject({ code: 'RETENTION_SHORT', exitCode: 13 });
    const none = await withLock(undefined);
    expect(none.findings[0]?.message).toContain('not locked');
    expect(none.shortest[0]?.until).toBe(0);
    expect(failureOf(await withLock({ mode: 'COMPLIANCE', until: promised }))).toBeUndefined();
  });

  it('takes a COMPLIANCE promise for unkept by GOVERNANCE', async () => {
    const { machine } = await backedUp();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, mode: 'COMPLIANCE' } };
    machine.write('new', 'stored in COMPLIANCE mode');
    await machine.archive();
    const result = await check(machine);
    // The GOVERNANCE versions that the second run re-used; its own content, snapshot and manifest are as promised.
    expect(result.counts.short).toBe(5);
    expect(result.findings.every(({ message }) => message.includes('GOVERNANCE mode only'))).toBe(true);
  });

  it('reads and hashes contents, blocks and snapshots when asked to', async () => {
    const { machine, one, summary } = await backedUp();
    const whole = await check(machine, { readData: 100 });
    expect(whole.checked).toMatchObject({ data: 6, bytes: 12 + 200_000 + 4 });
    expect(failureOf(whole)).toBeUndefined();
    const other = await check(machine, {
      readData: 100,
      store: damaged(machine.store, one.key, Buffer.from('other content')),
    });
    expect(other.counts).toMatchObject({ damaged: 1, missing: 0, unreadable: 0 });
    expect(other.findings).toMatchObject([{ kind: 'damaged', key: one.key, pathCount: 2 }]);
    const snapshot = `snapshots/test-backup/${summary.run}-db`;
    const dump = await check(machine, {
      readData: 100,
      store: damaged(machine.store, snapshot, Buffer.from('dumb')),
    });
    expect(dump.findings).toMatchObject([{ kind: 'damaged', key: snapshot, paths: [{ path: 'db' }] }]);
    expect(failureOf(dump)).toMatchObject({ code: 'DAMAGED' });
  });

  it('tells an object that cannot be read from a store that is gone', async () => {
    const { machine, one } = await backedUp();
    const failing = (fails: (key: string) => boolean) =>
      changed(machine.store, {
        get: async (key, version, range) => {
          if (fails(key)) throw new SysbackupError('STORE_FAILED', `no answer for ${key}`);
          return machine.store.get(key, version, range);
        },
      });
    const result = await check(machine, { readData: 100, store: failing((key) => key === one.key) });
    expect(result.counts).toMatchObject({ unreadable: 1, damaged: 0 });
    expect(result.findings[0]?.message).toBe(`no answer for ${one.key}`);
    expect(failureOf(result)).toMatchObject({ code: 'DAMAGED' });
    for (let file = 0; file < 30; file++) machine.write(`more/${file}`, `content ${file}`);
    await machine.archive();
    const gone = check(machine, { readData: 100, store: failing((key) => key.startsWith('content/')) });
    expect(await codeOf(gone)).toBe('STORE_FAILED');
  });

  it('takes shares that consecutive seeds complete', async () => {
    const machine = new BackupMachine();
    for (let file = 0; file < 300; file++) machine.write(`f/${file}`, `content of ${file}`);
    await machine.archive();
    const asked: string[][] = [];
    for (let seed = 0; seed < 5; seed++) {
      const store = recorded(machine.store);
      const result = await check(machine, { store: store.store, sample: 25, seed });
      expect(result.checked.existence).toBe(300);
      asked.push(
        store.asked
          .filter(({ kind, key }) => kind === 'get-retention' && key.startsWith('content/'))
          .map(({ key }) => key)
          .sort(),
      );
    }
    const [first = [], ...rest] = asked;
    expect(new Set(asked.slice(0, 4).flat()).size).toBe(300);
    expect(asked.slice(0, 4).flat()).toHaveLength(300);
    expect(rest.at(-1)).toEqual(first);
    for (const each of asked) expect(Math.abs(each.length - 75)).toBeLessThan(30);
    expect((await check(machine, { sample: 0 })).checked.locks).toBe(0);
  });

  it('passes over broken and lapsed runs, except for the one that is asked for', async () => {
    const { machine, one } = await backedUp();
    const run = await resolveRun(machine.store, 'latest');
    machine.picker('second', 'exit 1');
    expect((await machine.archive()).summary.outcome).toBe('broken');
    expect((await check(machine)).runs).toHaveLength(1);
    machine.now += 20 * DAY;
    machine.memory.deleteVersion(one.key, one.ver, { bypassGovernance: true });
    const all = await check(machine);
    expect(all.runs.map(({ state }) => state)).toEqual(['lapsed']);
    expect(failureOf(all)).toBeUndefined();
    const named = await check(machine, { run });
    expect(named.runs.map(({ state }) => state)).toEqual(['lapsed']);
    expect(named.counts).toMatchObject({ missing: 1, short: 0 });
    expect(named.findings[0]?.pathCount).toBe(2);
  });

  it('looks at the shortest lock of each backup, shared content included', async () => {
    const { machine } = await backedUp();
    machine.now += DAY;
    machine.settings = { ...machine.settings, backupName: 'other-backup' };
    await machine.archive();
    const { shortest, versions } = await check(machine);
    const first = shortest.find(({ backup }) => backup === 'test-backup');
    const second = shortest.find(({ backup }) => backup === 'other-backup');
    expect((second?.until ?? 0) - (first?.until ?? 0)).toBe(86_400);
    // Only the second snapshot is new.
    expect(versions).toBe(7);
  });

  it('goes on past a manifest that is damaged, and counts on nothing in it', async () => {
    const { machine, summary } = await backedUp();
    machine.now += DAY;
    const second = await machine.archive();
    const key = summary.manifest?.key ?? '';
    const result = await check(machine, { store: damaged(machine.store, key, randomBytes(100)) });
    expect(result.runs.map(({ state }) => state)).toEqual(['damaged', 'checked']);
    expect(result.findings).toMatchObject([{ kind: 'manifest', key }]);
    expect(result.checked.existence).toBe(6);
    expect(result.runs[1]?.run).toBe(second.summary.run);
    expect(failureOf(result)).toMatchObject({ code: 'DAMAGED' });
  });

  it('refuses what makes no sense, and says what does not exist', async () => {
    const { machine } = await backedUp();
    expect(await codeOf(check(machine, { sample: 101 }))).toBe('USAGE');
    expect(await codeOf(check(machine, { readData: Number.NaN }))).toBe('USAGE');
    expect(await codeOf(check(machine, { seed: -1 }))).toBe('USAGE');
    expect(await codeOf(check(machine, { backup: 'nobody' }))).toBe('NOT_FOUND');
    expect(await codeOf(check(machine, { signal: AbortSignal.abort() }))).toBe('ABORTED');
  });
});
