import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command, jsonLines, Machine, run } from './command.js';

/** A machine of which a run has something to say: a note, a program that talks. */
function machineThatTalks(): Machine {
  const machine = new Machine();
  writeFileSync(join(machine.data, 'one'), 'one');
  expect(spawnSync('mkfifo', [join(machine.data, 'fifo')]).status).toBe(0);
  machine.picker('10-data', `echo looking >&2; find '${machine.data}' -print0`);
  return machine;
}

describe.each([['--quiet'], ['--log-level', 'error']])('%s %s', (...quiet) => {
  it('has a complete run print nothing, and the commands after it, where all is well', async () => {
    const machine = machineThatTalks();
    expect(await machine.archive(...quiet)).toEqual({ code: 0, stdout: '', stderr: '' });
    for (const args of [
      ['verify', '--directory', machine.store],
      ['renew', '--directory', machine.store],
      ['expire', '--directory', machine.store],
      ['restore', '--directory', machine.store, '--target', join(machine.folder, 'back')],
    ])
      expect({ args, ...(await run([...args, ...quiet])) }).toEqual({
        args,
        code: 0,
        stdout: '',
        stderr: '',
      });
  });

  it('has the summary of a run that is not complete, and what the command is for', async () => {
    const machine = machineThatTalks();
    machine.picker('20-empty', 'echo nothing to see >&2');
    const { code, stdout, stderr } = await machine.archive(...quiet);
    expect(code).toBe(4);
    expect(stdout).toContain('is broken');
    expect(stderr).toContain('20-empty');
    // What was said before it, unless that was not wanted at all.
    expect(stderr.includes('looking')).toBe(quiet[0] === '--quiet');
    expect((await machine.archive('--dry-run', ...quiet)).stdout).toContain('nothing was stored');
    expect((await run(['list', '--directory', machine.store, ...quiet])).stdout).toContain('broken');
  });

  it('changes nothing of --json', async () => {
    const machine = machineThatTalks();
    const lines = jsonLines((await machine.archive('--json', ...quiet)).stdout);
    expect(lines.filter(({ type }) => type === 'problem')).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ type: 'summary', counts: { problems: 0, notes: 1 } });
  });
});

it('a run that is stopped says what it had kept to itself', async () => {
  const machine = machineThatTalks();
  const fifo = join(machine.folder, 'wait');
  expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
  machine.picker('20-waits', `: >'${fifo}'; exec sleep 60`);
  const command = new Command(['archive', '--quiet', '--conf-dir', machine.confDir]);
  // Opens when the picker does.
  expect(spawnSync('cat', [fifo]).status).toBe(0);
  command.child.kill('SIGTERM');
  const { code, stderr } = await command.ended;
  expect(code).toBe(143);
  expect(stderr).toMatch(/looking[^]*SIGTERM: stopping/);
});
