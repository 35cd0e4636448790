import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveSummary } from '#cli/presentation/archive-summary.js';
import { rebuildCatalog } from '#src/audit/rebuild-catalog.js';
import { readHead, writeHead } from '#src/catalog/objects-file.js';
import { StateFolder } from '#src/catalog/state-folder.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';
import { Thief } from '../../kit/thief.js';

const DAY_MS = 86_400_000;
const START = Date.parse('2026-11-20T02:00:00Z');

/** A machine whose runs are complete, partial or broken as asked for. */
class Nights {
  readonly machine = new BackupMachine();
  night = 0;

  constructor() {
    this.machine.write('file', 'content');
  }

  /** A night's run. */
  async run(outcome: 'complete' | 'partial' | 'broken', hours = 24): Promise<RunResult> {
    const { machine } = this;
    machine.now = this.night++ === 0 ? START : machine.now + hours * 3_600_000;
    const more = { complete: '', partial: 'echo /not/there', broken: 'exit 1' };
    machine.picker('more', `echo '${machine.tree}'\n${more[outcome]}`);
    const result = await machine.archive();
    expect(result.summary.outcome).toBe(outcome);
    return result;
  }

  head() {
    const { machine } = this;
    const state = StateFolder.open(machine.statePath, machine.store.identity, 'test-backup');
    try {
      const catalog = state.readCatalog();
      if (catalog === undefined || typeof catalog === 'string') throw new Error('there is no catalog');
      return { head: catalog.head, path: join(catalog.folder, 'head') };
    } finally {
      state.close();
    }
  }

  /** The catalog becomes one of the program before, which did not count. */
  forget(): void {
    const { path } = this.head();
    const { lastComplete: _last, sinceComplete: _since, firstRun: _first, ...before } = readHead(path);
    writeHead(path, before);
  }
}

const listings = ({ asked }: RunResult): number =>
  asked.filter(({ kind, key }) => kind === 'list' && key === 'manifests/test-backup/').length;

const firstLine = ({ summary }: RunResult): string => archiveSummary(summary, 'the store')[0] ?? '';

describe('runs without a complete one', () => {
  it('are counted from night to night, in the summary and in the catalog', async () => {
    const nights = new Nights();
    const start = '2026-11-20T02:00:00.000Z';
    expect((await nights.run('complete')).summary).toMatchObject({ lastComplete: start, sinceComplete: 0 });
    expect((await nights.run('partial')).summary).toMatchObject({ lastComplete: start, sinceComplete: 1 });
    expect((await nights.run('broken')).summary).toMatchObject({ lastComplete: start, sinceComplete: 2 });
    expect(nights.head().head).toMatchObject({ lastComplete: start, sinceComplete: 2, firstRun: start });
    // A run that stores nothing is not counted, nor is a dry run.
    const stopped = nights.machine.archive({ signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    const { summary } = await nights.machine.archive({ dryRun: true });
    expect(summary).toMatchObject({ lastComplete: start, sinceComplete: 2 });
    const third = await nights.run('partial');
    expect(third.summary).toMatchObject({ lastComplete: start, sinceComplete: 3, lacksComplete: true });
    expect(firstLine(third)).toMatch(/is partial; .*2026-11-20 02:00:00Z, with 3 runs after it$/);
    const whole = await nights.run('complete');
    expect(whole.summary).toMatchObject({
      lastComplete: '2026-11-24T02:00:00.000Z',
      sinceComplete: 0,
      lacksComplete: false,
    });
    expect(firstLine(whole)).toMatch(/is complete$/);
  });

  it('are mentioned after three runs and 48 hours, and neither alone', async () => {
    const often = new Nights();
    await often.run('complete');
    for (let run = 0; run < 5; run++)
      expect((await often.run('partial', 8)).summary.lacksComplete, `run ${run}`).toBe(false);
    // 48 hours to the minute are not more than 48 hours.
    expect((await often.run('partial', 8)).summary.lacksComplete).toBe(false);
    expect((await often.run('partial', 1)).summary.lacksComplete).toBe(true);
    const seldom = new Nights();
    await seldom.run('complete');
    for (const lacks of [false, false, true])
      expect((await seldom.run('broken', 100)).summary.lacksComplete).toBe(lacks);
  });

  it('without any complete run before are counted from the first', async () => {
    const nights = new Nights();
    for (const hours of [0, 20, 20])
      expect((await nights.run('broken', hours)).summary).toMatchObject({ lacksComplete: false });
    const fourth = await nights.run('partial', 20);
    expect(fourth.summary).toMatchObject({ lastComplete: null, sinceComplete: 4, lacksComplete: true });
    expect(firstLine(fourth)).toMatch(
      /is partial; no run since 2026-11-20 02:00:00Z was complete, of 4 runs$/,
    );
    expect(firstLine(await nights.machine.archive({ dryRun: true }))).toContain('no run since 2026-11-20');
  });

  it('are counted in one listing where there is no catalog, or one of the program before', async () => {
    const nights = new Nights();
    const first = await nights.run('complete');
    expect(listings(first)).toBe(1);
    // That of the fence.
    expect(listings(await nights.run('partial'))).toBe(1);
    nights.forget();
    const counted = { lastComplete: '2026-11-20T02:00:00.000Z', sinceComplete: 2 };
    const recounted = await nights.run('partial');
    expect(recounted.summary).toMatchObject(counted);
    expect(listings(recounted)).toBe(2);
    expect(listings(await nights.run('partial'))).toBe(1);
    rmSync(nights.machine.statePath, { recursive: true });
    expect((await nights.run('partial')).summary).toMatchObject({ ...counted, sinceComplete: 4 });
    rmSync(nights.machine.statePath, { recursive: true });
    await rebuildCatalog({ settings: nights.machine.settings, store: nights.machine.store });
    expect((await nights.run('partial')).summary).toMatchObject({ ...counted, sinceComplete: 5 });
  });
});

describe('runs that the catalog does not know', () => {
  it('are counted too, from the listing that shows them anyway', async () => {
    const nights = new Nights();
    await nights.run('complete');
    const { statePath } = nights.machine;
    // The state directory stays as it was, as on a disk without room.
    cpSync(statePath, `${statePath}-before`, { recursive: true });
    for (const since of [1, 2, 3]) {
      const result = await nights.run('partial');
      expect(result.summary).toMatchObject({ sinceComplete: since });
      expect(listings(result)).toBe(1);
      rmSync(statePath, { recursive: true });
      cpSync(`${statePath}-before`, statePath, { recursive: true });
    }
    await nights.run('complete');
    rmSync(statePath, { recursive: true });
    cpSync(`${statePath}-before`, statePath, { recursive: true });
    expect((await nights.run('partial')).summary).toMatchObject({
      lastComplete: '2026-11-24T02:00:00.000Z',
      sinceComplete: 1,
    });
  });

  it('are counted once, also where their ids put them behind all others', async () => {
    const nights = new Nights();
    const { machine } = nights;
    await nights.run('complete');
    machine.now += 3_600_000;
    const thief = new Thief(machine.memory, () => machine.now, 'another machine');
    thief.dateAhead = 400 * DAY_MS;
    thief.storeManifest([]);
    for (const since of [2, 3, 4])
      expect((await nights.run('partial')).summary).toMatchObject({ sinceComplete: since });
  });
});

describe('a last run that is ahead', () => {
  it('is a warning, once, and does not count as the last complete one', async () => {
    const nights = new Nights();
    await nights.run('complete');
    nights.machine.now += 3650 * DAY_MS;
    const ahead = (await nights.machine.archive()).summary.run;
    nights.machine.now = START + DAY_MS;
    const { warnings, summary } = await nights.machine.archive();
    expect(warnings).toEqual(expect.arrayContaining([expect.stringContaining(`${ahead}, is ahead of now`)]));
    expect(summary).toMatchObject({ lastComplete: '2026-11-21T02:00:00.000Z' });
    expect((await nights.run('partial')).warnings.join()).not.toContain('ahead of now');
    rmSync(nights.machine.statePath, { recursive: true });
    expect((await nights.run('partial')).summary).toMatchObject({
      lastComplete: '2026-11-21T02:00:00.000Z',
      sinceComplete: 2,
    });
  });

  it('of another machine is not reported night after night as newer than all', async () => {
    const nights = new Nights();
    await nights.run('complete');
    const { machine } = nights;
    const other = new BackupMachine();
    other.store = machine.memory;
    other.write('other', 'content');
    const systemIdPath = join(other.folder, 'machine-id');
    writeFileSync(systemIdPath, `${'ab'.repeat(16)}\n`);
    machine.now += 3650 * DAY_MS;
    await other.archive({ systemIdPath });
    machine.now = START;
    expect((await nights.run('complete')).warnings.join()).not.toContain('another machine');
    machine.now += 1000;
    await other.archive({ systemIdPath });
    expect((await nights.run('complete')).warnings.join()).toContain('another machine');
  });

  it('is not watched for renewals until that time comes', async () => {
    const nights = new Nights();
    const { machine } = nights;
    const s3 = { prefix: '', forcePathStyle: false, requireObjectLock: true, aws: {} };
    const cloudFormation = { export: '' };
    machine.settings = { ...machine.settings, destination: { kind: 's3', s3: { ...s3, cloudFormation } } };
    machine.now = START + 3650 * DAY_MS;
    await machine.archive();
    nights.night = 1;
    machine.now = START;
    await nights.run('complete');
    expect(nights.head().head.watched?.since).toBe((START + DAY_MS) / 1000);
  });

  it('silences nothing where only it was complete', async () => {
    const nights = new Nights();
    await nights.run('partial');
    nights.machine.now += 3650 * DAY_MS;
    nights.machine.picker('more', `echo '${nights.machine.tree}'`);
    expect((await nights.machine.archive()).summary.outcome).toBe('complete');
    nights.machine.now = START;
    await nights.run('partial', 30);
    const { summary } = await nights.run('partial', 30);
    expect(summary).toMatchObject({ lastComplete: null, sinceComplete: 3, lacksComplete: true });
  });
});
