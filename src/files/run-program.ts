import { spawn } from 'node:child_process';

export interface ProgramResult {
  /** Exit code; null where a signal or the timeout ended it. */
  status: number | null;
  stdout: Buffer;
  stderr: Buffer;
}

/**
 * Runs a short helper program without a shell and collects what it prints. Rejects only where it cannot be
 * started. `env` is its whole environment; its PATH is where the program is looked for.
 */
export type RunProgram = (
  program: string,
  args: readonly string[],
  options: { env: Readonly<Record<string, string>>; timeoutMs: number },
) => Promise<ProgramResult>;

export const runProgram: RunProgram = (program, args, { env, timeoutMs }) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (status) =>
      resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) }),
    );
  });
