import { describe, expect, it } from 'vitest';
import { listBackups } from '#src/audit/list.js';
import { SysbackupError } from '#src/errors.js';
import { directory, file, header, manifestOf } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

const RUNS = ['20260101T000000Z-abcd0001', '20260102T000000Z-abcd0002', '20260103T000000Z-abcd0003'];
const LOCK = { mode: 'GOVERNANCE', until: 1_800_000_000 } as const;

function addRun(store: FakeStore, backup: string, run: string, received: number): string {
  const bytes = manifestOf([directory('/'), file('/f', 'hello')], {}, { ...header, backup, run });
  const key = `manifests/${backup}/${run}.complete.jsonl.gz`;
  store.add(key, bytes, received, LOCK);
  return key;
}

function filled(): FakeStore {
  const store = new FakeStore();
  for (const backup of ['b', 'a'])
    for (const [index, run] of RUNS.entries()) addRun(store, backup, run, Date.parse('2026-01-05') + index);
  return store;
}

describe('listBackups', () => {
  it('gives all runs with counts and locks, by name and receipt', async () => {
    const listed = await listBackups(filled(), { footers: true, concurrency: 2 });
    expect(listed.map(({ name, run }) => [name, run])).toEqual([
      ...RUNS.map((run) => ['a', run]),
      ...RUNS.map((run) => ['b', run]),
    ]);
    for (const row of listed)
      expect(row).toMatchObject({ counts: { d: 1, f: 1 }, bytes: 5, lock: LOCK, suspicious: false });
    expect(listed.map(({ problem }) => problem)).toEqual(listed.map(() => undefined));
  });

  it('needs no more than a listing where footers are not asked for', async () => {
    const store = filled();
    const listed = await listBackups(store, { footers: false, name: 'b' });
    expect(listed).toHaveLength(3);
    expect(listed[0]).toMatchObject({
      outcome: 'complete',
      time: Date.parse('2026-01-01'),
      counts: undefined,
    });
    expect(store.gets).toEqual([]);
  });

  it('tells what is wrong with one run, and goes on', async () => {
    const store = filled();
    const key = `manifests/a/20260104T000000Z-abcd0004.partial.jsonl.gz`;
    store.add(key, Buffer.from('no gzip'), Date.parse('2026-01-01'));
    const listed = await listBackups(store, { footers: true });
    expect(listed).toHaveLength(7);
    expect(listed[0]).toMatchObject({ outcome: 'partial', suspicious: true, counts: undefined });
    expect(listed[0]?.problem).toMatch(/no footer/);
    expect(listed.filter(({ problem }) => problem !== undefined)).toHaveLength(1);
  });

  it('leaves the counts where only the lock may not be read', async () => {
    const store = filled();
    store.getRetention = () => Promise.reject(new SysbackupError('ACCESS_DENIED', 'not for you'));
    const [row] = await listBackups(store, { footers: true });
    expect(row).toMatchObject({ bytes: 5, lock: undefined, problem: 'not for you' });
  });

  it('stops when told to, and passes on a listing that fails', async () => {
    const store = filled();
    const signal = AbortSignal.abort();
    await expect(listBackups(store, { footers: true, signal })).rejects.toMatchObject({ code: 'ABORTED' });
    store.list = () => Promise.reject(new SysbackupError('ACCESS_DENIED', 'no'));
    await expect(listBackups(store, { footers: false })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(await listBackups(new FakeStore(), { footers: true })).toEqual([]);
  });
});
