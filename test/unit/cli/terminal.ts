import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './command.js';

/** Whether this machine has util-linux's `script`, which gives a program a terminal. */
export const hasScript = spawnSync('script', ['--version']).status === 0;

export interface TerminalOptions {
  /** Typed when the screen shows the text, in this order. */
  answers?: readonly { to: string; type: string }[];
  env?: Record<string, string>;
}

/** Runs the built command at a terminal: all that it shows there, and its exit code. */
export async function atTerminal(
  args: readonly string[],
  { answers = [], env = {} }: TerminalOptions = {},
): Promise<{ code: number; screen: string }> {
  const command = [process.execPath, MAIN, ...args]
    .map((arg) => `'${arg.replaceAll("'", "'\\''")}'`)
    .join(' ');
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH, HOME, TERM: 'xterm', SHELL: '/bin/sh', ...(TMPDIR === undefined ? {} : { TMPDIR }), ...env },
  });
  let screen = '';
  let seen = 0;
  const waiting = [...answers];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    for (let next = waiting[0]; next && screen.indexOf(next.to, seen) >= 0; next = waiting[0]) {
      seen = screen.indexOf(next.to, seen) + next.to.length;
      waiting.shift();
      child.stdin.write(next.type);
    }
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, screen: screen.replaceAll('\r\n', '\n') };
}
