import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { SysbackupError, messageOf, throwIfAborted } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import { commandFor } from './command.js';
import { whyNotStarted } from './not-started.js';
import { openPipe } from './native.js';
import { OutputPump } from './output-pump.js';
import { ProcessGroup } from './process-group.js';

export type ProgramEnd =
  | { kind: 'exited'; code: number }
  | { kind: 'killed'; signal: NodeJS.Signals }
  | { kind: 'timeout'; afterMs: number }
  | { kind: 'not-started'; reason: string };

export interface ProgramResult {
  end: ProgramEnd;
  /** Standard output was still open `drainMs` after the end, held by a process left behind: it was cut there. */
  outputHeld: boolean;
}

/** What the caller of pickers and snapshotters sets for either. */
export interface ProgramLimits {
  /** Milliseconds after which it is stopped; undefined: never. */
  timeoutMs?: number | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. Default 5000. */
  graceMs?: number;
  /** Milliseconds to wait after its end for processes it left behind that hold its output open. */
  drainMs?: number;
  /** Stops it, and what it started, as a timeout does. */
  signal?: AbortSignal | undefined;
}

export interface ProgramOptions extends ProgramLimits {
  path: BytePath;
  args: readonly string[];
  /** Its whole environment. */
  env: Readonly<Record<string, string>>;
  drainMs: number;
  /** Its standard input. Default: nothing to read. */
  stdin?: number;
  /** Given to it as descriptor 3. */
  descriptor3?: number;
  /** Reading goes on when it resolves. What it throws stops the program and is thrown on. */
  onStdout(chunk: Buffer): void | Promise<void>;
  onStderr(chunk: Buffer): void;
}

const DEFAULT_GRACE_MS = 5000;
/** For last words that stand in the pipe when a program has been stopped. */
const AFTER_STOP_MS = 200;

/**
 * Runs an executable in `/`, in a session (thus process group) of its own, and
 * waits for its end and for all it printed. Throws ABORTED if stopped by the signal.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramResult> {
  throwIfAborted(options.signal);
  const stdout = openPipe();
  const stderr = openPipe();
  const child = await launch(options, stdout.writeEnd, stderr.writeEnd).finally(() => {
    closeSync(stdout.writeEnd);
    closeSync(stderr.writeEnd);
  });
  if (child instanceof Error || child.pid === undefined) {
    closeSync(stdout.readEnd);
    closeSync(stderr.readEnd);
    const reason = await whyNotStarted(options.path, child);
    return { end: { kind: 'not-started', reason }, outputHeld: false };
  }

  const group = new ProcessGroup(child, child.pid);
  let stopped: { reason: 'timeout' | 'aborted' | 'failed'; error?: unknown } | undefined;
  let requestStop = (): void => {};
  const stopRequested = new Promise<void>((resolve) => {
    requestStop = resolve;
  });
  const stop = (reason: 'timeout' | 'aborted' | 'failed', error?: unknown): void => {
    stopped ??= { reason, error };
    requestStop();
  };
  const onFailure = (error: unknown): void => stop('failed', error);
  const pumps = [
    new OutputPump(stdout.readEnd, options.onStdout, onFailure),
    new OutputPump(stderr.readEnd, options.onStderr, onFailure),
  ];
  let outputClosed = false;
  const allPumped = Promise.all(pumps.map((pump) => pump.done)).finally(() => {
    outputClosed = true;
  });
  const onAbort = (): void => stop('aborted');
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    options.timeoutMs === undefined ? undefined : setTimeout(() => stop('timeout'), options.timeoutMs);

  try {
    await Promise.race([group.ended, stopRequested]);
    clearTimeout(timer);
    if (stopped === undefined) {
      for (const pump of pumps) pump.programEnded(options.drainMs);
      await Promise.race([allPumped, stopRequested]);
    }
    if (stopped !== undefined) {
      await group.stop(options.graceMs ?? DEFAULT_GRACE_MS, () => outputClosed);
      for (const pump of pumps) pump.programEnded(AFTER_STOP_MS);
    }
    const [stdoutEnd] = await allPumped;
    return { end: endOf(stopped, await group.ended, options), outputHeld: stdoutEnd === 'cut' };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function endOf(
  stopped: { reason: 'timeout' | 'aborted' | 'failed'; error?: unknown } | undefined,
  exit: { code: number | null; signal: NodeJS.Signals | null },
  options: ProgramOptions,
): ProgramEnd {
  if (stopped?.reason === 'failed') throw stopped.error;
  if (stopped?.reason === 'aborted') throwIfAborted(options.signal);
  if (stopped?.reason === 'timeout') return { kind: 'timeout', afterMs: options.timeoutMs ?? 0 };
  if (exit.signal !== null) return { kind: 'killed', signal: exit.signal };
  return { kind: 'exited', code: exit.code ?? 0 };
}

/** The started child, or the error. Node reports some failures to start by throwing, others by an event. */
async function launch(
  options: ProgramOptions,
  stdout: number,
  stderr: number,
): Promise<ChildProcess | Error> {
  const { file, args } = commandFor(options.path, options.args);
  const descriptors = options.descriptor3 === undefined ? [] : [options.descriptor3];
  let child: ChildProcess;
  try {
    child = spawn(file, args, {
      cwd: '/',
      env: options.env,
      stdio: [options.stdin ?? 'ignore', stdout, stderr, ...descriptors],
      detached: true,
    });
  } catch (error) {
    return error instanceof Error ? error : new SysbackupError('SYSTEM', messageOf(error));
  }
  if (child.pid !== undefined) return child;
  const [error] = (await once(child, 'error')) as [Error];
  return error;
}
