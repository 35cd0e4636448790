import { describe, expect, it } from 'vitest';
import type { SysbackupEvent } from '#src/events.js';
import { parseManifestKey, parseRunId } from '#src/manifest/keys.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { isDatedInTheFuture, listRuns } from '#src/manifest/runs.js';
import { directory, header, manifestOf } from './build-manifest.js';
import { FakeStore } from './fake-store.js';

const DAY = 86_400_000;
const at = (iso: string): number => Date.parse(iso);

/** Stores a run's manifest as received an hour after its start, unless told otherwise. */
function addRun(
  store: FakeStore,
  run: string,
  more: {
    backup?: string;
    outcome?: 'complete' | 'partial' | 'broken';
    received?: number;
    empty?: boolean;
  } = {},
): string {
  const { backup = 'host-backup', outcome = 'complete', empty = false } = more;
  const received = more.received ?? (parseRunId(run)?.time ?? 0) + 3_600_000;
  const bytes = manifestOf(empty ? [] : [directory('/')], { outcome }, { ...header, backup, run });
  return store.add(`manifests/${backup}/${run}.${outcome}.jsonl.gz`, bytes, received);
}

function listener(): { onEvent: (event: SysbackupEvent) => void; warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, onEvent: (event) => event.type === 'log' && warnings.push(event.message) };
}

const FIRST = '20260101T000000Z-abcd0001';
const SECOND = '20260102T000000Z-abcd0002';
const THIRD = '20260103T000000Z-abcd0003';

describe('parseManifestKey', () => {
  it('reads what a key says', () => {
    expect(parseManifestKey(`manifests/host-backup/${FIRST}.partial.jsonl.gz`)).toEqual({
      backup: 'host-backup',
      run: FIRST,
      outcome: 'partial',
      time: at('2026-01-01T00:00:00Z'),
      machine: 'abcd',
    });
  });

  it.each([
    'manifests/host-backup.json',
    `manifests/${FIRST}.complete.jsonl.gz`,
    `manifests/a/b/${FIRST}.complete.jsonl.gz`,
    `manifests/a/${FIRST}.great.jsonl.gz`,
    `manifests/a/${FIRST}.complete.jsonl.gz.old`,
    'manifests/a/20260231T000000Z-abcd0001.complete.jsonl.gz',
    'manifests/a/20260101T250000Z-abcd0001.complete.jsonl.gz',
    'manifests/a/20260101T000000Z-ABCD0001.complete.jsonl.gz',
  ])('takes %s for no manifest', (key) => expect(parseManifestKey(key)).toBeUndefined());
});

describe('listRuns', () => {
  it('gives the runs in the order of their receipt, over all pages', async () => {
    const store = new FakeStore();
    store.add('manifests/other.txt', Buffer.from('{}'));
    for (const run of [THIRD, FIRST, SECOND]) addRun(store, run);
    addRun(store, FIRST, { backup: 'another', received: 0 });
    expect((await listRuns(store)).map(({ backup, run }) => [backup, run])).toEqual([
      ['another', FIRST],
      ['host-backup', FIRST],
      ['host-backup', SECOND],
      ['host-backup', THIRD],
    ]);
    expect(await listRuns(store, { backup: 'host' })).toEqual([]);
    expect(await listRuns(store, { backup: 'another' })).toHaveLength(1);
  });

  it('takes the oldest version of a key, not one that was added, and says that there are more', async () => {
    const store = new FakeStore();
    const first = addRun(store, FIRST);
    store.addDeleteMarker(`manifests/host-backup/${FIRST}.complete.jsonl.gz`, 0);
    for (const later of [1, 2]) addRun(store, FIRST, { received: at('2026-01-05') + later });
    const { onEvent, warnings } = listener();
    expect(await listRuns(store, { onEvent })).toMatchObject([{ run: FIRST, version: first }]);
    expect(warnings).toEqual([expect.stringMatching(/2 more manifests were stored under .*abcd0001/)]);
  });

  it('takes the oldest of one run id that stands there with two outcomes', async () => {
    const store = new FakeStore();
    addRun(store, FIRST, { outcome: 'complete', received: at('2026-01-05') });
    addRun(store, FIRST, { outcome: 'partial' });
    expect(await listRuns(store)).toMatchObject([{ outcome: 'partial' }]);
  });

  it('knows a run that is dated after its receipt', () => {
    expect(isDatedInTheFuture({ time: 2 * DAY + 1, received: DAY })).toBe(true);
    expect(isDatedInTheFuture({ time: 2 * DAY, received: DAY })).toBe(false);
  });
});

describe('resolveRun', () => {
  it('finds a run by its id, with or without its backup name', async () => {
    const store = new FakeStore();
    addRun(store, FIRST, { outcome: 'broken' });
    addRun(store, SECOND, { backup: 'another' });
    expect(await resolveRun(store, FIRST)).toMatchObject({ run: FIRST, outcome: 'broken' });
    expect(await resolveRun(store, `another/${SECOND}`)).toMatchObject({ run: SECOND });
    await expect(resolveRun(store, `another/${FIRST}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('asks for the name where several backups have a run of this id', async () => {
    const store = new FakeStore();
    for (const backup of ['a', 'b']) addRun(store, FIRST, { backup });
    await expect(resolveRun(store, FIRST)).rejects.toMatchObject({ code: 'USAGE' });
    expect(await resolveRun(store, FIRST, { backup: 'b' })).toMatchObject({ backup: 'b' });
    expect(await resolveRun(store, `a/${FIRST}`)).toMatchObject({ backup: 'a' });
  });

  it('takes the newest run of a name that is not broken', async () => {
    const store = new FakeStore();
    addRun(store, FIRST);
    addRun(store, SECOND, { outcome: 'partial' });
    addRun(store, THIRD, { outcome: 'broken' });
    expect(await resolveRun(store, 'host-backup')).toMatchObject({ run: SECOND, outcome: 'partial' });
  });

  it('takes `latest` for the configured name, or the only one there is, and else names them all', async () => {
    const store = new FakeStore();
    addRun(store, FIRST, { backup: 'a' });
    expect(await resolveRun(store, 'latest')).toMatchObject({ backup: 'a' });
    addRun(store, SECOND, { backup: 'b' });
    expect(await resolveRun(store, 'latest', { backup: 'a' })).toMatchObject({ backup: 'a' });
    await expect(resolveRun(store, 'latest')).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/a, b/),
    });
    await expect(resolveRun(store, 'latest', { backup: 'c' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('names what is nearest to an unknown name or run', async () => {
    const store = new FakeStore();
    for (const run of [FIRST, SECOND]) addRun(store, run);
    addRun(store, THIRD, { backup: 'zebra' });
    await expect(resolveRun(store, 'hots-backup')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'The nearest name is host-backup.',
    });
    await expect(resolveRun(store, 'latst')).rejects.toMatchObject({ hint: 'The nearest name is latest.' });
    await expect(resolveRun(store, FIRST.slice(0, 12))).rejects.toMatchObject({
      hint: expect.stringContaining(FIRST),
    });
    await expect(resolveRun(store, `${SECOND}x`)).rejects.toMatchObject({
      hint: expect.stringMatching(new RegExp(`nearest names are ${SECOND}, `)),
    });
    await expect(resolveRun(store, '20260101T000000Z-abcd0009')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringMatching(new RegExp(`nearest names are ${FIRST}`)),
    });
    await expect(resolveRun(new FakeStore(), 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('passes over an empty manifest dated in the future, an empty one, and a damaged one, and says so', async () => {
    const store = new FakeStore();
    addRun(store, FIRST);
    const received = at('2026-01-02');
    addRun(store, '20360101T000000Z-abcd0004', { empty: true, received });
    addRun(store, '20260102T000000Z-abcd0005', { empty: true, received: received + 1 });
    const damaged = '20260102T000000Z-abcd0006';
    store.add(`manifests/host-backup/${damaged}.complete.jsonl.gz`, Buffer.from('x'), received + 2);
    const { onEvent, warnings } = listener();
    expect(await resolveRun(store, 'host-backup', { onEvent })).toMatchObject({ run: FIRST });
    expect(warnings).toEqual([
      expect.stringMatching(/abcd0006: .* has no footer/),
      expect.stringMatching(/abcd0005: it holds nothing/),
      expect.stringMatching(/abcd0004: it is dated after 2026-01-02/),
    ]);
  });

  it('goes by the time of receipt, whatever a run calls itself', async () => {
    const store = new FakeStore();
    addRun(store, THIRD, { received: at('2026-01-03') });
    addRun(store, FIRST, { received: at('2026-01-04') });
    expect(await resolveRun(store, 'host-backup')).toMatchObject({ run: FIRST });
  });

  it('refuses a name with nothing but broken runs, and warns where the newest is of another machine', async () => {
    const store = new FakeStore();
    addRun(store, FIRST, { outcome: 'broken' });
    await expect(resolveRun(store, 'host-backup')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    addRun(store, SECOND);
    const { onEvent, warnings } = listener();
    await resolveRun(store, 'host-backup', { onEvent });
    expect(warnings).toEqual([]);
    addRun(store, '20260104T000000Z-ffff0001');
    await resolveRun(store, 'host-backup', { onEvent });
    expect(warnings).toEqual([expect.stringMatching(/another machine/)]);
  });
});
