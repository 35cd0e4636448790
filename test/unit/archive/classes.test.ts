import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSummary } from '#src/archive/options.js';
import { periodOf } from '#src/manifest/retention-classes.js';
import type { FileEntry } from '#src/manifest/types.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine } from '../../kit/backup-machine.js';

const DAY = 86_400_000;

describe('periodOf', () => {
  it.each([
    // ISO 8601: the week that holds the year's first Thursday is its first.
    ['2026-01-01', '2026-W01'],
    ['2025-12-29', '2026-W01'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
  ])('%s is in week %s', (day, week) => {
    expect(periodOf('weekly', Date.parse(`${day}T12:00:00Z`))).toBe(week);
  });

  it('knows months and years in UTC', () => {
    expect(periodOf('monthly', Date.parse('2026-03-31T23:59:59Z'))).toBe('2026-03');
    expect(periodOf('yearly', Date.parse('2026-12-31T23:59:59Z'))).toBe('2026');
  });
});

/** Whether every version that a manifest names is there, and so is the manifest. */
async function isAlive(machine: BackupMachine, summary: RunSummary): Promise<boolean> {
  try {
    for (const entry of (await machine.entries(summary)).values()) {
      if (entry.typ !== 'f' || entry.dat === null) continue;
      for (const ref of [entry.dat].flat()) await machine.memory.head(ref.key, ref.ver);
    }
    return true;
  } catch {
    return false;
  }
}

describe('retention classes', () => {
  it('keep for 400 days what they promise and let go what has lapsed, whatever changes', async () => {
    const machine = new BackupMachine();
    machine.now = Date.parse('2025-11-20T02:00:00Z');
    machine.settings = {
      ...machine.settings,
      classes: { weekly: 28, monthly: 93, yearly: 200 },
      content: { ...machine.settings.content, daysRetained: 5 },
    };
    const { memory } = machine;
    const runs: { summary: RunSummary; day: number; until: number; files: FileEntry[] }[] = [];
    let checked = 0;
    for (let day = 0; day < 400; day++) {
      machine.write('stays', 'the same all the time');
      machine.write(`daily-${day % 9}`, `written on day ${day}`);
      machine.write('large', Buffer.alloc(70_000, `block ${Math.floor(day / 11)}`));
      if (day % 13 === 0) rmSync(join(machine.tree, 'daily-3'), { force: true });
      const { summary, problems } = await machine.archive();
      expect(problems).toEqual([]);
      const header = (await machine.lines(summary))[0];
      const classes = header?.typ === 'manifest' ? (header.classes ?? []) : [];
      const kept = Math.max(5, ...classes.map((name) => ({ weekly: 28, monthly: 93, yearly: 200 })[name]));
      runs.push({ summary, day, until: day + kept, files: [] });
      // S3's lifecycle runs each night: current versions expire, noncurrent ones go when their lock has ended.
      machine.now += DAY;
      memory.passNight({ expireAfterDays: 5, noncurrentDays: 1 });
      for (const run of runs.filter(
        ({ day: of, until }) => until > day + 1 && (of % 7 === day % 7 || until - day < 3),
      )) {
        expect(await isAlive(machine, run.summary), `run of day ${run.day} on day ${day}`).toBe(true);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(1000);
    // What has lapsed goes: every version left is either locked or was so until a few nights ago.
    for (let night = 0; night < 600; night++) {
      machine.now += DAY;
      memory.passNight({ expireAfterDays: 5, noncurrentDays: 1 });
    }
    const left = await memory.list({ prefix: '' });
    expect(left.versions.filter(({ deleteMarker }) => !deleteMarker)).toEqual([]);
  }, 120_000);

  it('do not count for a run that is broken', async () => {
    const machine = new BackupMachine();
    machine.settings = { ...machine.settings, classes: { weekly: 56 } };
    machine.write('f', 'content');
    machine.picker('broken', 'exit 1');
    const { summary } = await machine.archive();
    expect(summary.outcome).toBe('broken');
    const lockOf = async (run: RunSummary) =>
      (await machine.memory.getRetention(run.manifest?.key ?? '', run.manifest?.version ?? ''))?.until ?? 0;
    expect(await lockOf(summary)).toBeLessThan(machine.now / 1000 + 20 * 86_400);
    machine.picker('broken', `echo '${machine.tree}/f'`);
    const good = await machine.archive();
    expect(await lockOf(good.summary)).toBeGreaterThanOrEqual(machine.now / 1000 + 56 * 86_400);
    expect(await lockOf((await machine.archive()).summary)).toBeLessThan(machine.now / 1000 + 20 * 86_400);
  });
});

describe('a run that lasts longer than its locks', () => {
  it('ends with everything it names there and locked', async () => {
    const machine = new BackupMachine();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, daysRetained: 2 } };
    for (let index = 0; index < 20; index++) machine.write(`f${index}`, `content ${index}`);
    for (const name of 'abcdefghij') machine.snapshotter(name, `echo ${name} >&$1`);
    const { memory } = machine;
    const store = Object.create(memory) as typeof memory;
    Object.assign(store, {
      description: memory.description,
      identity: memory.identity,
      put: async (request: Parameters<typeof memory.put>[0]) => {
        const stored = await memory.put(request);
        // Two weeks in all, while locks last five to nine days.
        if (request.key.startsWith('snapshots/')) machine.now += 1.5 * DAY;
        memory.passNight({ expireAfterDays: 2, noncurrentDays: 1 });
        return stored;
      },
    });
    for (const name of [
      'list',
      'now',
      'capabilities',
      'getRetention',
      'extendRetention',
      'get',
      'head',
      'close',
    ] as const) {
      Object.assign(store, { [name]: (memory[name] as (...args: never[]) => unknown).bind(memory) });
    }
    const { summary } = await machine.archive({ store });
    expect(await isAlive(machine, summary)).toBe(true);
    for (const line of await machine.lines(summary)) {
      if (line.typ !== 's' || line.dat === null || Array.isArray(line.dat)) continue;
      const lock = await memory.getRetention(line.dat.key, line.dat.ver);
      expect(lock?.until).toBeGreaterThan(machine.now / 1000 + 86_400);
    }
    for (const entry of (await machine.entries(summary)).values()) {
      if (entry.typ !== 'f' || entry.dat === null || Array.isArray(entry.dat)) continue;
      const lock = await memory.getRetention(entry.dat.key, entry.dat.ver);
      expect(lock?.until).toBeGreaterThan(machine.now / 1000 + 86_400);
    }
  });
});
