import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Step, SysbackupError, errnoOf, formatSteps } from '../src/index.js';

/**
 * Has root carry out a plan: this program once more, through sudo, with the plan on its standard input, where no list
 * of processes shows the keys in it. sudo asks for its password on the terminal.
 */
export async function carryOutWithSudo(program: readonly string[], steps: readonly Step[]): Promise<void> {
  const child = spawn('sudo', ['--', ...program, 'write-config', '--carry-out'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(formatSteps(steps));
  let code: number | null;
  try {
    [code] = (await once(child, 'close')) as [number | null];
  } catch (cause) {
    throw new SysbackupError(
      'SYSTEM',
      errnoOf(cause) === 'ENOENT' ? 'there is no sudo on this machine' : 'sudo could not be started',
      { hint: 'Run this as root, with AWS credentials in the environment.', cause },
    );
  }
  if (code !== 0)
    throw new SysbackupError('SYSTEM', 'root did not carry out the plan, and what was done is taken back', {
      hint: 'See what is said above.',
    });
}
