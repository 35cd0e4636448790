import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, runProgram } from '../../kit/built-program.js';
import { storeLargeRun } from '../../kit/large-run.js';
import { measuringMemory, peakMemory } from '../../kit/peak-memory.js';

const FILES = 500_000;
const [FIRST, SECOND] = ['20260102T030405Z-abcd0001', '20260103T030405Z-abcd0002'];
/** Every so many-th file has another mode in the second run. */
const CHANGED = 1000;
/** What any command may take. All lines of one run take more; on Node.js 24, garbage alone up to 230 MB. */
const LIMIT = 300e6;

let folder = '';
let last = '';
let entries = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-test-'));
  const common = { store: join(folder, 'store'), backup: 'large', files: FILES };
  await storeLargeRun({ ...common, run: FIRST });
  ({ last, entries } = await storeLargeRun({ ...common, run: SECOND, changed: CHANGED }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command on the store, in bounded memory. */
async function run(...args: string[]): Promise<Ended> {
  const status = join(folder, 'status');
  const env = measuringMemory(status);
  const ended = await runProgram([...args, '--directory', join(folder, 'store')], { env });
  expect(peakMemory(status)).toBeLessThan(LIMIT);
  return ended;
}

describe(`of ${FILES} files, in memory that does not grow with them,`, () => {
  it('ls shows all, one folder, one file', async () => {
    const all = await run('ls', SECOND);
    expect(all.code).toBe(0);
    expect(all.stdout.trimEnd().split('\n')).toHaveLength(entries);
    const one = await run('ls', 'latest', last);
    expect(one.stdout).toMatch(new RegExp(`^-rw-r--r-- .* ${last}\\n$`));
    const some = await run('ls', 'latest', '/srv', '--depth', '1');
    expect(some.stdout.trimEnd().split('\n')).toHaveLength(1 + FILES / 10_000);
  });

  it('ls says what is nearest to what is not there', async () => {
    const { code, stderr } = await run('ls', 'latest', last.replace('document', 'dokument'));
    expect(code).toBe(10);
    expect(stderr).toContain(`The nearest paths are ${last}, `);
  });

  it('diff finds the few that changed', async () => {
    const { code, stdout, stderr } = await run('diff', FIRST, SECOND);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(FILES / CHANGED);
    for (const line of lines) expect(line).toMatch(/^~ \S+: mode rw-r--r-- -> rw-------$/);
    expect(stderr).toMatch(new RegExp(`\\n0 added, 0 removed, ${FILES / CHANGED} changed\\n$`));
  });

  it('cat prints one', async () => {
    expect(await run('cat', 'latest', last)).toMatchObject({
      code: 0,
      stdout: 'the content of the last file\n',
    });
  });

  it('list needs no entry of it', async () => {
    const { code, stdout } = await run('list');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
  });
});
