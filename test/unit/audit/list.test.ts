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

  it('tells of each name when its last complete run was, and how many were stored since', async () => {
    const store = filled();
    const add = (run: string, outcome: 'complete' | 'partial', received: string, lines = [directory('/')]) =>
      store.add(
        `manifests/a/${run}.${outcome}.jsonl.gz`,
        manifestOf(lines, { outcome }, { ...header, backup: 'a', run }),
        Date.parse(received),
      );
    const historyOf = async (footers: boolean) => {
      const listed = await listBackups(store, { footers });
      return Object.fromEntries(listed.map(({ name, history }) => [name, history]));
    };
    store.time = Date.parse('2026-01-20T00:00:00Z');
    const [first, , third] = ['2026-01-01T00:00:00.000Z', '', '2026-01-03T00:00:00.000Z'];
    const whole = { lastComplete: third, sinceComplete: 0, firstRun: first, lacksComplete: false };
    expect(await historyOf(true)).toEqual({ a: whole, b: whole });
    add('20260106T000000Z-abcd0006', 'partial', '2026-01-06');
    add('20260107T000000Z-abcd0007', 'partial', '2026-01-07');
    expect((await historyOf(true))['a']).toMatchObject({ sinceComplete: 2, lacksComplete: false });
    // Complete as its key says, and empty; damaged; dated in the future.
    add('20260108T000000Z-abcd0008', 'complete', '2026-01-08', []);
    store.add(
      'manifests/a/20260109T000000Z-abcd0009.complete.jsonl.gz',
      Buffer.from('x'),
      Date.parse('2026-01-09'),
    );
    add('20360110T000000Z-abcd0010', 'complete', '2026-01-10');
    const lacking = { ...whole, sinceComplete: 5, lacksComplete: true };
    expect(await historyOf(true)).toEqual({ a: lacking, b: whole });
    expect((await historyOf(false))['a']).toMatchObject({ sinceComplete: 1 });
    // One under a clock that was ahead silences nothing.
    add('20360111T000000Z-abcd0011', 'complete', '2036-01-11');
    expect(await historyOf(true)).toEqual({ a: lacking, b: whole });
    expect((await listBackups(store, { footers: true })).filter(({ ahead }) => ahead)).toHaveLength(1);
  });

  it('knows of no complete run where a footer could not be read, unless that is the right to read', async () => {
    const store = filled();
    store.get = () => Promise.reject(new SysbackupError('ACCESS_DENIED', 'not for you'));
    const [row] = await listBackups(store, { footers: true });
    expect(row?.history).toMatchObject({ sinceComplete: 0 });
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
