import { spawn } from 'node:child_process';
import { type Command, type Output, shown } from './command.js';
import { cpuOfChildren } from './cpu-time.js';
import { MemoryWatch } from './process-tree.js';

export interface Measured extends Output {
  seconds: number;
  /** Seconds of user and system time of the program and all its descendants: see {@link cpuOfChildren}. */
  cpu: number;
  /** Bytes: see {@link MemoryWatch}. */
  peak: number;
}

/** A program that did not do its work: no time of it counts. */
export class CommandFailed extends Error {
  constructor(command: Command, how: string, output: Output) {
    const said = `${output.stderr}\n${output.stdout}`.trim().split('\n').slice(-8).join('\n');
    super(`${shown(command)} ${how}${said === '' ? '' : `:\n${said}`}`);
  }
}

/** Runs a command to its end and measures it. `home`: a folder of its own for what programs keep there. */
export async function measure(command: Command, home: string): Promise<Measured> {
  const [file = '', ...args] = command.argv;
  const cpuBefore = cpuOfChildren();
  const start = process.hrtime.bigint();
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: command.cwd ?? home,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, LC_ALL: 'C.UTF-8', ...command.env },
  });
  // Ended with us, before the folders that it works in are removed.
  const end = (): void => {
    child.kill('SIGKILL');
  };
  process.prependOnceListener('exit', end);
  const output: Output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const watch = child.pid === undefined ? undefined : new MemoryWatch(child.pid);
  let seconds = 0;
  child.on('exit', () => {
    seconds = Number(process.hrtime.bigint() - start) / 1e9;
    process.off('exit', end);
  });
  const how = await new Promise<string | undefined>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  const peak = watch?.stop() ?? 0;
  const cpu = cpuOfChildren() - cpuBefore;
  if (how !== undefined) throw new CommandFailed(command, how, output);
  try {
    command.check?.(output);
  } catch (error) {
    throw new CommandFailed(command, `did not do its work (${messageOf(error)})`, output);
  }
  return { ...output, seconds, cpu, peak };
}

/** An error's own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
