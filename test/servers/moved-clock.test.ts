import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, runProgram, summaryIn } from '../kit/built-program.js';
import { type MovedClock, movedClock } from '../kit/moved-clock.js';
import { findProgram } from '../kit/programs.js';

const DAY = 86_400;
const TEN_YEARS = 3650 * DAY;
/** So far back that it is 1970, as on a system without a clock. */
const TO_1970 = DAY - Math.floor(Date.now() / 1000);

interface Listed {
  run: string;
  received: string;
  ahead: boolean;
}

const hasCompiler = findProgram('cc') !== undefined;

describe.skipIf(!hasCompiler && !process.env['CI'])('a clock that is wrong (needs a C compiler)', () => {
  let root = '';
  let clock: MovedClock;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 's3-sysbackup-clock-test-'));
    clock = movedClock(root);
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  /** A machine that backs one file up into a directory. */
  class Scene {
    readonly folder = mkdtempSync(join(root, 'scene-'));
    readonly store = join(this.folder, 'store');
    readonly file = join(this.folder, 'data/file');
    readonly conf = ['--conf-dir', join(this.folder, 'conf')];

    constructor() {
      for (const folder of ['data', 'conf/pickers.d', 'conf/snapshots.d'])
        mkdirSync(join(this.folder, folder), { recursive: true });
      writeFileSync(
        join(this.folder, 'conf/conf'),
        '[directory]\npath = ../store\n[state]\npath = ../state\n',
      );
      this.executable('pickers.d/p', `echo '${this.file}'`);
    }

    executable(path: string, script: string): void {
      const full = join(this.folder, 'conf', path);
      writeFileSync(full, `#!/bin/sh\n${script}\n`);
      chmodSync(full, 0o755);
    }

    async at(seconds: number, ...args: string[]): Promise<Ended> {
      return await runProgram([...args, ...this.conf], { env: seconds === 0 ? {} : clock(seconds) });
    }

    /** A run of a file with this text. Returns its id, and what was printed. */
    async archive(seconds: number, text: string): Promise<{ run: string; ended: Ended }> {
      writeFileSync(this.file, text);
      const ended = await this.at(seconds, 'archive', '--name', 't', '--json');
      const { run } = summaryIn(ended.stdout);
      return { run: String(run), ended };
    }

    async list(): Promise<Listed[]> {
      return JSON.parse((await this.at(0, 'list', '--json')).stdout) as Listed[];
    }
  }

  it('by ten years for one run makes it neither the newest nor what expire keeps in its place', async () => {
    const scene = new Scene();
    const early = await scene.archive(0, 'early');
    const ahead = await scene.archive(TEN_YEARS, 'ahead');
    // The store's clock moved, and not only the process's.
    const received = (await scene.list()).find(({ run }) => run === ahead.run)?.received ?? '';
    expect(Date.parse(received)).toBeGreaterThan(Date.now() + (TEN_YEARS - 2 * DAY) * 1000);

    const late = await scene.archive(0, 'late');
    expect(late.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${ahead.run}, is ahead of`),
    });
    expect((await scene.list()).map(({ run, ahead }) => [run, ahead])).toEqual([
      [early.run, false],
      [late.run, false],
      [ahead.run, true],
    ]);
    const cat = await scene.at(0, 'cat', 't', scene.file);
    expect(cat).toMatchObject({ code: 0, stdout: 'late' });
    expect(cat.stderr).toContain(`passed over the run t/${ahead.run}`);

    // Forty days on all other locks have ended.
    const expired = await scene.at(40 * DAY, 'expire', '--json');
    expect(JSON.parse(expired.stdout)).toMatchObject({
      runsRemoved: 1,
      keptRuns: [{ run: late.run, reasons: ['newest', 'last-good'] }],
    });
    expect((await scene.list()).map(({ run }) => run)).toEqual([late.run, ahead.run]);
    expect((await scene.at(0, 'verify', '--read-data')).code).toBe(0);
  });

  it('of 1970 restores the newest run, and removes nothing', async () => {
    const scene = new Scene();
    await scene.archive(-20 * DAY, 'first');
    const { run } = await scene.archive(0, 'second');
    const target = join(scene.folder, 'back');
    const restored = await scene.at(TO_1970, 'restore', 't', '--target', target);
    expect(restored).toMatchObject({ code: 0, stderr: expect.stringContaining('clock may be wrong') });
    expect(restored.stderr).toMatch(/now, 1970-01-/);
    expect(readFileSync(join(target, scene.file), 'utf8')).toBe('second');
    for (const more of [[], ['--dry-run'], ['--last-too']])
      expect(await scene.at(TO_1970, 'expire', ...more)).toMatchObject({ code: 14, stdout: '' });
    expect((await scene.list()).at(-1)?.run).toBe(run);
    expect(await scene.list()).toHaveLength(2);
  });

  it('of later days: three runs and 48 hours without a complete one are in the first line', async () => {
    const scene = new Scene();
    const { run } = await scene.archive(-4 * DAY, 'whole');
    scene.executable('snapshots.d/db', 'exit 1');
    const first = async (days: number): Promise<string> => {
      const { code, stdout } = await scene.at(days * DAY, 'archive', '--name', 't', '--progress', 'never');
      expect(code).toBe(3);
      return stdout.split('\n')[0] ?? '';
    };
    for (const days of [-3, -2]) expect(await first(days)).toMatch(/is partial$/);
    const said = /is partial; the last complete run is of (\S+) (\S+)Z, with 3 runs after it$/.exec(
      await first(-1),
    );
    const time = `${said?.[1]}T${said?.[2]}Z`.replaceAll(/[-:]/g, '');
    expect(time).toBe(run.slice(0, 16));
    expect((await scene.at(0, 'list')).stderr).toMatch(
      /warning: t: the last complete run .* with 3 runs after it/,
    );
  });
});
