import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAIN, run } from '../unit/cli/command.js';
import { timeWindow } from '#src/system/time-window.js';

const isRoot = process.getuid?.() === 0;
const hasSetpriv = existsSync('/usr/bin/setpriv');
const hasSystemd = existsSync('/usr/bin/systemd-analyze');
if (process.env['CI'] && !(isRoot && hasSetpriv && hasSystemd))
  throw new Error('this needs root, and the Debian packages util-linux and systemd');

/** Not the account of anybody who could own a test's files. */
const SOMEBODY = 34;

describe.skipIf(!isRoot || !hasSetpriv)('under the rights that the unit gives (needs root, setpriv)', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-capability-'));
    chmodSync(folder, 0o755);
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    writeFileSync(join(closed, 'shadow'), 'root:secret\n', { mode: 0o600 });
    for (const name of ['store', 'state']) {
      mkdirSync(join(folder, name));
      chownSync(join(folder, name), SOMEBODY, SOMEBODY);
    }
    mkdirSync(join(folder, 'conf', 'pickers.d'), { recursive: true });
    const picker = join(folder, 'conf', 'pickers.d', 'closed');
    writeFileSync(picker, `#!/bin/sh\nfind ${closed}\n`);
    chmodSync(picker, 0o755);
    writeFileSync(
      join(folder, 'conf', 'conf'),
      `[directory]\npath = ${join(folder, 'store')}\n[state]\npath = ${join(folder, 'state')}\n`,
    );
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** As the unit does it: a user, with these capabilities and no way to more. */
  function archiveWith(capabilities: string): { status: number | null; stdout: string; stderr: string } {
    const bounds = ['-all', ...(capabilities === '' ? [] : [capabilities])].join(',');
    const ambient = capabilities === '' ? [] : ['--inh-caps', capabilities, '--ambient-caps', capabilities];
    return spawnSync(
      'setpriv',
      [
        `--reuid=${SOMEBODY}`,
        `--regid=${SOMEBODY}`,
        '--clear-groups',
        ...ambient,
        '--bounding-set',
        bounds,
        '--no-new-privs',
        process.execPath,
        MAIN,
        'archive',
        '--conf-dir',
        join(folder, 'conf'),
      ],
      { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: '/nonexistent' }, cwd: '/' },
    );
  }

  it('archive reads what its user does not own, in folders that are closed to it', async () => {
    const archived = archiveWith('+dac_read_search');
    expect(archived).toMatchObject({ status: 0, stderr: `made a new store in ${folder}/store\n` });
    const back = join(folder, 'back');
    const restored = await run(['restore', 'latest', '--conf-dir', join(folder, 'conf'), '--target', back]);
    expect(restored.code).toBe(0);
    expect(readFileSync(join(back, folder, 'closed', 'shadow'), 'utf8')).toBe('root:secret\n');
  });

  it('and without that capability it cannot, so it is that which counts', () => {
    const archived = archiveWith('');
    expect(archived.status).not.toBe(0);
    expect(archived.stderr).toContain('Permission denied');
  });
});

describe.skipIf(!hasSystemd)('what systemd makes of windows (needs systemd-analyze)', () => {
  it.each([
    ['01:00', '4h'],
    ['1:05', '90min'],
    ['23:59:30', '1h 30min 10s'],
    ['00:00', '23h'],
  ])('takes the window of %s and %s', (start, length) => {
    const window = timeWindow(start, length);
    const calendar = execFileSync('systemd-analyze', ['calendar', `*-*-* ${window.start}`], {
      encoding: 'utf8',
    });
    expect(calendar).toContain(`*-*-* ${window.start}`);
    // Both the text that was written and what was made of it mean the same.
    const microseconds = (text: string): string | undefined =>
      /μs: (\d+)/.exec(execFileSync('systemd-analyze', ['timespan', text], { encoding: 'utf8' }))?.[1];
    expect(microseconds(window.length)).toBe(microseconds(length));
  });
});
