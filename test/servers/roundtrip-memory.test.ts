import { closeSync, ftruncateSync, mkdirSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { noise } from '../kit/awkward-contents.js';
import { runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { measuringMemory, peakMemory } from '../kit/peak-memory.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const LIMIT = 300e6;
/** Up to eight blocks of 16 MiB are in memory on two processors (src/content/long-files.ts). */
const LONG_LIMIT = 400e6;
/** Runs a command to success and says how much memory it took at most. */
async function measured(
  backup: ConfFolder,
  name: string,
  args: readonly string[],
  limit = LIMIT,
): Promise<Record<string, unknown>> {
  const status = backup.at('status');
  const ended = await runProgram([...args, '--conf-dir', backup.confDir, '--json'], {
    env: measuringMemory(status),
  });
  expect(ended.code, ended.stderr).toBe(0);
  const peak = peakMemory(status);
  process.stderr.write(`${name}: ${Math.round(peak / 1e6)} MB at most\n`);
  expect(peak).toBeLessThan(limit);
  return summaryIn(ended.stdout);
}

describe('memory', () => {
  it('stays below 300 MB with a file of 20 GiB, most of it a hole', async () => {
    const backup = ConfFolder.make();
    const path = backup.at('sparse');
    const fd = openSync(path, 'w');
    ftruncateSync(fd, 20 * GIB);
    writeSync(fd, noise(30 * MIB), 0, 30 * MIB, 7 * GIB - 5);
    writeSync(fd, noise(5), 0, 5, 20 * GIB - 5);
    closeSync(fd);
    backup.conf();
    backup.picker('sparse', `echo '${path}'`);
    const summary = await measured(backup, 'archive of 20 GiB', ['archive']);
    expect(summary).toMatchObject({ outcome: 'complete', bytes: 20 * GIB });
    const target = backup.at('target');
    await measured(backup, 'restore of 20 GiB', ['restore', '--target', target]);
    const { size, blocks } = statSync(join(target, path));
    expect(size).toBe(20 * GIB);
    expect(blocks).toBeLessThanOrEqual(statSync(path).blocks + 100);
  }, 300_000);

  it('stays below 300 MB with 30,000 small files, and 400 MB with long ones that do not compress', async () => {
    const backup = ConfFolder.make();
    for (let index = 0; index < 30_000; index++) {
      const folder = backup.at('small', String(index % 600));
      if (index < 600) mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, String(index)), `${index} `.repeat((index * 37) % 1000));
    }
    backup.conf();
    backup.picker('small', `find '${backup.at('small')}' -print0`);
    const first = await measured(backup, 'first run over 30,000 files', ['archive']);
    expect(first).toMatchObject({ outcome: 'complete', counts: { f: 30_000 } });
    await measured(backup, 'unchanged run over 30,000 files', ['archive']);
    mkdirSync(backup.at('long'));
    for (let index = 0; index < 10; index++)
      writeFileSync(backup.at('long', `${index}`), noise(50 * MIB, `${index}`));
    backup.picker('long', `find '${backup.at('long')}' -print0`);
    await measured(backup, 'run over 500 MiB that do not compress', ['archive'], LONG_LIMIT);
  }, 300_000);
});
