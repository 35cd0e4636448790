import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The command line as it is built. */
export const PROGRAM = fileURLToPath(import.meta.resolve('#cli/main.js'));

export interface Ended {
  /** null where a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Readonly<Record<string, string>>;
  /** Before the program's own: `['setpriv', '--reuid', 'nobody']`. */
  wrapper?: readonly string[];
  cwd?: string;
}

/** Runs the built command line to its end, whatever that is. */
export function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const [command = '', ...rest] = [...(options.wrapper ?? []), process.execPath, PROGRAM, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const ended: Ended = { code: null, signal: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ended.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ended.stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ ...ended, code, signal }));
  });
}

/** The last line of what `--json` printed. */
export function summaryIn(stdout: string): Record<string, unknown> {
  const summary: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null');
  if (typeof summary !== 'object' || summary === null) throw new Error(`no summary in ${stdout}`);
  return { ...summary };
}

/** All events of one type in what `--json` printed. */
export function eventsIn(stdout: string, type: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter((event) => event['type'] === type);
}
