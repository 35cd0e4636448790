import { describe, expect, it } from 'vitest';
import type { SysbackupEvent } from '#src/events.js';
import { parseRunId } from '#src/manifest/keys.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { directory, header, manifestOf } from './build-manifest.js';
import { FakeStore } from './fake-store.js';

type Outcome = 'complete' | 'partial' | 'broken';

interface Added {
  backup?: string;
  outcome?: Outcome;
  received?: string;
  empty?: boolean;
}

/** A store at noon of 30 January 2026. */
function storeOf(...runs: readonly (readonly [run: string, more?: Added])[]): FakeStore {
  const store = new FakeStore();
  store.time = Date.parse('2026-01-30T12:00:00Z');
  for (const [run, more = {}] of runs) {
    const { backup = 'web1', outcome = 'complete', empty = false } = more;
    const received =
      more.received === undefined ? (parseRunId(run)?.time ?? 0) + 60_000 : Date.parse(more.received);
    const bytes = manifestOf(empty ? [] : [directory('/')], { outcome }, { ...header, backup, run });
    store.add(`manifests/${backup}/${run}.${outcome}.jsonl.gz`, bytes, received);
  }
  return store;
}

const [A, B, C, D] = [
  '20260101T020000Z-abcd0001',
  '20260102T020000Z-abcd0002',
  '20260102T200000Z-abcd0003',
  '20260104T020000Z-abcd0004',
] as const;
/** A run of a day on which the clock was ten years ahead. */
const AHEAD = '20360103T020000Z-abcd00ff';

async function chosen(store: FakeStore, text: string, backup?: string): Promise<string> {
  const { backup: name, run } = await resolveRun(store, text, { backup });
  return `${name}/${run}`;
}

async function refused(store: FakeStore, text: string, backup?: string): Promise<unknown> {
  return await resolveRun(store, text, { backup }).then(
    ({ run }) => `took ${run}`,
    (error: unknown) => error,
  );
}

async function warningsOf(store: FakeStore, text: string, backup?: string): Promise<string[]> {
  const warnings: string[] = [];
  const onEvent = (event: SysbackupEvent) => event.type === 'log' && warnings.push(event.message);
  await resolveRun(store, text, { backup, onEvent });
  return warnings;
}

describe('latest~N', () => {
  it('is the usable run that is so many before the newest', async () => {
    const store = storeOf([A], [B, { outcome: 'broken' }], [C, { empty: true }], [D]);
    expect(await chosen(store, 'latest~0')).toBe(`web1/${D}`);
    expect(await chosen(store, 'latest')).toBe(`web1/${D}`);
    expect(await chosen(store, 'latest~1')).toBe(`web1/${A}`);
    expect(await refused(store, 'latest~2')).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('2 runs'),
      hint: expect.stringContaining('latest~1'),
    });
  });

  it('reads no more footers than it takes', async () => {
    const store = storeOf([A], [B], [C], [D]);
    await resolveRun(store, 'latest~1');
    expect(store.gets).toHaveLength(2);
  });
});

describe('a date', () => {
  it('is the newest usable run that was received on that day, UTC', async () => {
    const store = storeOf([A], [B], [C, { received: '2026-01-02T23:59:59.999Z' }], [D]);
    expect(await chosen(store, '2026-01-02')).toBe(`web1/${C}`);
    const late = storeOf([A], [B], [C, { received: '2026-01-03T00:00:00Z' }], [D]);
    expect(await chosen(late, '2026-01-02')).toBe(`web1/${B}`);
    expect(await chosen(late, '2026-01-03')).toBe(`web1/${C}`);
    const empty = storeOf([A], [B], [C, { empty: true }], [D]);
    expect(await chosen(empty, '2026-01-02')).toBe(`web1/${B}`);
    expect(await warningsOf(empty, '2026-01-02')).toEqual([expect.stringContaining('it holds nothing')]);
  });

  it('without a usable run is not found, with the days beside it', async () => {
    const store = storeOf([A], [B, { outcome: 'broken' }], [D]);
    expect(await refused(store, '2026-01-03')).toMatchObject({
      code: 'NOT_FOUND',
      hint: 'The nearest days with runs are 2026-01-02 and 2026-01-04.',
    });
    expect(await refused(store, '2026-01-02')).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('that could be used'),
    });
    expect(await refused(store, '2026-02-31')).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('chooses a run that is ahead only where no other is usable', async () => {
    expect(await refused(storeOf([A], [AHEAD]), '2036-01-03')).toMatchObject({ code: 'NOT_FOUND' });
    expect(await chosen(storeOf([A, { empty: true }], [AHEAD]), '2036-01-03')).toBe(`web1/${AHEAD}`);
  });
});

describe('the beginning of a run id', () => {
  it('is the only run that begins so, whatever became of it', async () => {
    const store = storeOf([A], [B, { outcome: 'broken' }], [C], [D]);
    expect(await chosen(store, '20260104')).toBe(`web1/${D}`);
    expect(await chosen(store, B.slice(0, 11))).toBe(`web1/${B}`);
  });

  it('of several is refused, and names those that fit', async () => {
    const store = storeOf([A], [B], [C], [D]);
    const error = await refused(store, '20260102T');
    expect(error).toMatchObject({
      code: 'USAGE',
      exitCode: 2,
      message: expect.stringContaining(`${C}, ${B}`),
    });
    expect(error).toMatchObject({ message: expect.not.stringContaining(A) });
  });
});

describe('a backup name before', () => {
  const two = () => storeOf([A], [B], [C, { backup: 'web2' }], [A, { backup: 'web2' }]);

  it.each([
    ['web2/latest', `web2/${C}`],
    ['web2/latest~1', `web2/${A}`],
    ['web2/2026-01-01', `web2/${A}`],
    ['web2/20260102', `web2/${C}`],
    [`web2/${A}`, `web2/${A}`],
    ['web1/latest', `web1/${B}`],
  ])('%s chooses among the runs of that backup', async (text, wanted) => {
    expect(await chosen(two(), text)).toBe(wanted);
    // Also where another is configured.
    expect(await chosen(two(), text, 'web1')).toBe(wanted);
  });

  it('is the configured one where none is said, or the only one', async () => {
    expect(await chosen(two(), 'latest~1', 'web2')).toBe(`web2/${A}`);
    expect(await chosen(two(), '2026-01-01', 'web1')).toBe(`web1/${A}`);
    expect(await chosen(two(), '20260102', 'web2')).toBe(`web2/${C}`);
    expect(await refused(two(), '20260103', 'web2')).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is asked for where it could be several, with the runs that fit', async () => {
    for (const text of ['latest', 'latest~1', '2026-01-01', '20260101', A])
      expect(await refused(two(), text)).toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(await refused(two(), '2026-01-01')).toMatchObject({
      message: expect.stringMatching(new RegExp(`web\\d/${A}, web\\d/${A}`)),
    });
    expect(await refused(two(), '20260102T02')).toMatchObject({
      message: expect.stringContaining(`web1/${B}`),
    });
    expect(await refused(two(), A)).toMatchObject({ message: expect.stringContaining(`web2/${A}`) });
  });

  it('that is none is not found, and no run at all is no text', async () => {
    for (const text of ['web3/latest', 'web3/20260102', `web3/${A}`, 'a/web1/latest'])
      expect(await refused(two(), text)).toMatchObject({ code: 'NOT_FOUND' });
    for (const text of ['', 'web1/']) expect(await refused(two(), text)).toMatchObject({ code: 'USAGE' });
  });
});

describe('the order', () => {
  it('is id, backup name, latest, date, beginning of an id', async () => {
    const store = storeOf([A], [D], [B, { backup: '2026-01-01' }], [C, { backup: '20260104' }]);
    expect(await chosen(store, '2026-01-01', 'web1')).toBe(`2026-01-01/${B}`);
    expect(await chosen(store, 'web1/2026-01-01', 'web1')).toBe(`web1/${A}`);
    expect(await chosen(store, '20260104', 'web1')).toBe(`20260104/${C}`);
    expect(await warningsOf(store, '20260104', 'web1')).toEqual([
      expect.stringContaining('web1/20260104 is a run of web1'),
    ]);
    // What nobody can have configured hides no run.
    const hidden = storeOf([A], [D, { backup: 'latest' }]);
    expect(await chosen(hidden, 'latest', 'web1')).toBe(`web1/${A}`);
  });
});

describe('a run that is ahead of now', () => {
  it('is passed over with a warning while another is usable, and has its id', async () => {
    const store = storeOf([A], [B], [AHEAD]);
    for (const text of ['latest', 'web1']) expect(await chosen(store, text)).toBe(`web1/${B}`);
    expect(await chosen(store, 'latest~1')).toBe(`web1/${A}`);
    expect(await warningsOf(store, 'latest')).toEqual([
      expect.stringMatching(new RegExp(`passed over .*${AHEAD}.* 2036-01-03.*now, 2026-01-30`)),
    ]);
    expect(await chosen(store, AHEAD)).toBe(`web1/${AHEAD}`);
    store.time = Date.parse('2036-01-02T03:00:00Z');
    expect(await chosen(store, 'latest')).toBe(`web1/${AHEAD}`);
  });

  it('counts where none of the others is usable, and then the clock is doubted', async () => {
    const broken = storeOf([A, { outcome: 'broken' }], [B, { empty: true }], [AHEAD]);
    expect(await chosen(broken, 'latest')).toBe(`web1/${AHEAD}`);
    const all = storeOf([A], [B], [AHEAD]);
    all.time = 60_000;
    expect(await chosen(all, 'latest')).toBe(`web1/${AHEAD}`);
    expect(await chosen(all, 'latest~2')).toBe(`web1/${A}`);
    expect(await warningsOf(all, 'latest')).toEqual([expect.stringContaining('clock may be wrong')]);
  });
});
