import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Ended, Machine, MAIN } from './command.js';

/** Runs the command in a shell that redirects, or limits, what it writes. */
function inShell(machine: Machine, args: string, around: (command: string) => string): Ended {
  const command = `'${process.execPath}' '${MAIN}' ${args} --conf-dir '${machine.confDir}'`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', around(command)], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

function machineWithFile(): Machine {
  const machine = new Machine();
  machine.pickData();
  writeFileSync(join(machine.data, 'one'), 'one');
  return machine;
}

/** Lines that tell of the log. */
const warnings = (text: string): string[] =>
  text.split('\n').filter((line) => line.startsWith('warning: not all messages'));

describe.skipIf(!existsSync('/dev/full'))('a full disk', () => {
  it.each([
    ['under the log', '--log-to /dev/full --log-level debug', (command: string) => command],
    [
      'under a log that reaches the limit of a file’s length',
      '--log-to "$LOG" --log-level debug',
      (command: string) =>
        `export LOG; LOG=$(mktemp -d)/log; head -c 65536 /dev/zero >"$LOG"; ulimit -f 64; ${command}`,
    ],
    ['where the log is to be made', '--log-to /nonexistent/log', (command: string) => command],
  ])('%s costs no run: it is told once, and the exit code is the run’s', (_, args, around) => {
    const machine = machineWithFile();
    const complete = inShell(machine, `archive ${args}`, around);
    expect(complete.code).toBe(0);
    expect(complete.stdout).toContain('is complete');
    expect(warnings(complete.stderr)).toHaveLength(1);
    expect(complete.stderr).not.toContain('    at ');
    machine.picker('empty', ':');
    expect(inShell(machine, `archive ${args}`, around).code).toBe(4);
  });

  it('takes nothing of the log but what is written meanwhile', () => {
    const machine = machineWithFile();
    const log = join(machine.folder, 'log');
    writeFileSync(log, 'x'.repeat(4096 - 10));
    const { code } = inShell(machine, `archive --log-to '${log}'`, (command) => `ulimit -f 4; ${command}`);
    expect(code).toBe(0);
    const torn = readFileSync(log, 'utf8');
    expect(torn).toHaveLength(4096);
    expect(inShell(machine, `archive --log-to '${log}'`, (command) => command).code).toBe(0);
    expect(readFileSync(log, 'utf8').startsWith(torn)).toBe(true);
  });

  it('under standard output changes the code of those commands only that are for what they write there', () => {
    const machine = machineWithFile();
    const toFull = (args: string): Ended => inShell(machine, args, (command) => `${command} >/dev/full`);
    for (const args of ['archive', 'archive --json', 'verify', `restore --target '${machine.folder}/back'`]) {
      const { code, stderr } = toFull(args);
      expect({ args, code }).toEqual({ args, code: 0 });
      expect(stderr).toMatch(/^warning: cannot write to standard output: .*ENOSPC/m);
    }
    const file = join(machine.data, 'one');
    for (const args of [
      'list',
      'list --json',
      'ls latest',
      `cat latest '${file}'`,
      'check-config',
      'restore --to-tar -',
    ]) {
      const { code, stderr } = toFull(args);
      expect({ args, code }).toEqual({ args, code: 1 });
      expect(stderr).toMatch(/^s3-sysbackup: .*ENOSPC/m);
    }
    writeFileSync(file, 'changed');
    inShell(machine, 'archive', (command) => command);
    const runs = inShell(machine, 'list --json', (command) => command);
    const [newest, oldest] = (JSON.parse(runs.stdout) as { run: string }[]).map(({ run }) => run);
    expect(toFull(`diff ${oldest} ${newest}`).code).toBe(1);
  });

  it('under both outputs leaves a run as it is', () => {
    const machine = machineWithFile();
    expect(inShell(machine, 'archive', (command) => `${command} >/dev/full 2>/dev/full`).code).toBe(0);
    const { stdout } = inShell(machine, 'list', (command) => command);
    expect(stdout).toContain('complete');
  });
});
